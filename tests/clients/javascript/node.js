// Plays the scenarios in Node: connect-es, grpc-js and the gRPC-Web runtime, in cleartext and with TLS; ZITADEL's SDKs.
//
// Arguments: the addresses of a server in cleartext and of one with TLS, and the file of the descriptor set. The
// certificate comes by NODE_EXTRA_CA_CERTS.

import { appendFile, readFile } from "node:fs/promises";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import xhr2 from "xhr2";

import { connectEs, grpcWebRuntime, pathOf, rest } from "./callers.js";
import { Protos } from "./protos.js";
import { Failure, play, row } from "./scenarios.js";
import { sdksOf } from "./sdks.js";
import { versionOf } from "./versions.js";

// What the gRPC-Web runtime finds in browsers.
globalThis.XMLHttpRequest = xhr2;

const [cleartext, tls, descriptors] = process.argv.slice(2);
const protos = new Protos(await readFile(descriptors));
const steps = JSON.parse(await readFile(new URL("../scenarios.json", import.meta.url), "utf8"));
const certificate = await readFile(process.env.NODE_EXTRA_CA_CERTS);

/** The clients for one server: name, call, and the header of deadlines where a deadline that has passed can be sent. */
function clientsOf(baseUrl, channelCredentials) {
  const clients = [
    // Counts its deadlines itself.
    ["grpc-js gRPC", grpcJs(new URL(baseUrl).host, channelCredentials)],
    ["grpc-web binary", grpcWebRuntime(protos, baseUrl, "binary"), "grpc-timeout"],
    ["grpc-web text", grpcWebRuntime(protos, baseUrl, "text"), "grpc-timeout"],
    ["fetch REST", rest(protos, baseUrl), "grpc-timeout"],
  ];
  const connectNode = (name, transport, deadlineHeader) =>
    clients.push([`connect-node ${name}`, connectEs(protos, transport), deadlineHeader]);
  for (const useBinaryFormat of [true, false]) {
    const codec = useBinaryFormat ? "binary" : "JSON";
    for (const httpVersion of ["1.1", "2"]) {
      const options = { baseUrl, httpVersion, useBinaryFormat };
      connectNode(`Connect ${codec}, HTTP/${httpVersion}`, createConnectTransport(options), "connect-timeout-ms");
      connectNode(`gRPC-Web ${codec}, HTTP/${httpVersion}`, createGrpcWebTransport(options), "grpc-timeout");
    }
    connectNode(`gRPC ${codec}`, createGrpcTransport({ baseUrl, useBinaryFormat }), "grpc-timeout");
  }
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

const login = process.env.LOGIN ?? "token";
const official = [
  ...clientsOf(`http://${cleartext}`, credentials.createInsecure()),
  ...clientsOf(`https://${tls}`, credentials.createSsl(certificate)).map(([name, ...client]) => [`${name}, TLS`, ...client]),
];
const clients = [...(login === "token" ? official : []), ...sdksOf(protos, `http://${cleartext}`, login)];
let failed = 0;
for (const [index, [name, call, deadlineHeader]] of clients.entries()) {
  const played = await play(protos, steps, `org-${index}`, call, deadlineHeader);
  played.complaints.forEach((complaint) => console.log(`${name}: ${complaint}`));
  failed += played.complaints.length;
  const [client, ...transport] = name.split(" ");
  await appendFile(process.env.ROWS, row(client, await versionOf(client), transport.join(" "), login, played));
}
process.exit(failed > 0 ? 1 : 0);
