// Plays the scenarios in Node: connect-es, grpc-js and the gRPC-Web runtime, in cleartext and with TLS.
//
// Arguments: the addresses of a server in cleartext and of one with TLS, and the file of the descriptor set. The
// certificate comes by NODE_EXTRA_CA_CERTS.

import { readFile } from "node:fs/promises";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import xhr2 from "xhr2";

import { connectEs, grpcWebRuntime, pathOf, rest } from "./callers.js";
import { Protos } from "./protos.js";
import { Failure, play } from "./scenarios.js";

// What the gRPC-Web runtime finds in browsers.
globalThis.XMLHttpRequest = xhr2;

const [cleartext, tls, descriptors] = process.argv.slice(2);
const protos = new Protos(await readFile(descriptors));
const steps = JSON.parse(await readFile(new URL("../scenarios.json", import.meta.url), "utf8"));
const certificate = await readFile(process.env.NODE_EXTRA_CA_CERTS);

/** The clients for one server, by name. */
function clientsOf(baseUrl, channelCredentials) {
  const clients = [];
  for (const httpVersion of ["1.1", "2"]) {
    for (const useBinaryFormat of [true, false]) {
      const name = `HTTP/${httpVersion} ${useBinaryFormat ? "binary" : "JSON"}`;
      const options = { baseUrl, httpVersion, useBinaryFormat };
      clients.push([`connect-node Connect ${name}`, connectEs(protos, createConnectTransport(options))]);
      clients.push([`connect-node gRPC-Web ${name}`, connectEs(protos, createGrpcWebTransport(options))]);
      if (httpVersion === "2") {
        clients.push([`connect-node gRPC ${name}`, connectEs(protos, createGrpcTransport(options))]);
      }
    }
  }
  clients.push(["grpc-js", grpcJs(new URL(baseUrl).host, channelCredentials)]);
  clients.push(["grpc-web binary", grpcWebRuntime(protos, baseUrl, "binary")]);
  clients.push(["grpc-web text", grpcWebRuntime(protos, baseUrl, "text")]);
  clients.push(["fetch REST", rest(protos, baseUrl)]);
  return clients;
}

function grpcJs(address, channelCredentials) {
  const client = new Client(address, channelCredentials);
  return (method, request, { headers, timeoutMs }) =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      Object.entries(headers).forEach(([name, value]) => metadata.set(name, value));
      client.makeUnaryRequest(
        pathOf(method),
        (message) => Buffer.from(toBinary(method.input, message)),
        (bytes) => fromBinary(method.output, bytes),
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, reply) => {
          if (error === null) {
            return resolve(reply);
          }
          const [status] = error.metadata.get("grpc-status-details-bin");
          reject(new Failure(error.code, error.details, protos.parseStatus(status)));
        },
      );
    });
}

const clients = [
  ...clientsOf(`http://${cleartext}`, credentials.createInsecure()),
  ...clientsOf(`https://${tls}`, credentials.createSsl(certificate)).map(([name, call]) => [`TLS ${name}`, call]),
];
let failed = 0;
for (const [index, [name, call]] of clients.entries()) {
  const complaints = await play(protos, steps, `org-${index}`, call);
  complaints.forEach((complaint) => console.log(`${name}: ${complaint}`));
  failed += complaints.length;
}
console.log(`node: ${steps.length} scenarios over ${clients.length} transports: ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
