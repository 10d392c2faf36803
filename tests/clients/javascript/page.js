// What the page runs: clients of another origin, in a browser.

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { connectEs, grpcWebRuntime, rest } from "./callers.js";
import { Protos } from "./protos.js";
import { play, playExpired } from "./scenarios.js";

const GET = "/zitadel.management.v1.ManagementService/GetOrgMetadata";

/** The clients, by name; each with the header that its deadlines are in. */
const CLIENTS = {
  "connect-web Connect JSON": [(protos, baseUrl) => connectEs(protos, createConnectTransport({ baseUrl })), "connect-timeout-ms"],
  "connect-web Connect binary": [
    (protos, baseUrl) => connectEs(protos, createConnectTransport({ baseUrl, useBinaryFormat: true })),
    "connect-timeout-ms",
  ],
  "connect-web gRPC-Web binary": [(protos, baseUrl) => connectEs(protos, createGrpcWebTransport({ baseUrl })), "grpc-timeout"],
  "connect-web gRPC-Web JSON": [
    (protos, baseUrl) => connectEs(protos, createGrpcWebTransport({ baseUrl, useBinaryFormat: false })),
    "grpc-timeout",
  ],
  "grpc-web binary": [(protos, baseUrl) => grpcWebRuntime(protos, baseUrl, "binary"), "grpc-timeout"],
  "grpc-web text": [(protos, baseUrl) => grpcWebRuntime(protos, baseUrl, "text"), "grpc-timeout"],
  "fetch REST": [rest, "grpc-timeout"],
};

async function playClient(name, baseUrl, organization) {
  const protos = new Protos(new Uint8Array(await (await fetch("/protos.binpb")).arrayBuffer()));
  const steps = await (await fetch("/scenarios.json")).json();
  const [create, deadlineHeader] = CLIENTS[name];
  const call = create(protos, baseUrl);
  return [
    ...(await play(protos, steps, organization, call)),
    ...(await playExpired(protos, organization, call, deadlineHeader)),
  ];
}

/** What scripts see of answers to plain `fetch`: status and headers, those that are absent as `null`. */
async function look(baseUrl) {
  const seen = {};
  for (const [name, contentType] of [
    ["Connect", "application/json"],
    ["gRPC-Web", "application/grpc-web+proto"],
  ]) {
    const response = await fetch(baseUrl + GET, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": contentType },
      body: contentType === "application/json" ? "{}" : new Uint8Array(5),
    });
    const { headers, status } = response;
    seen[name] = {
      status,
      "grpc-status": headers.get("grpc-status"),
      "grpc-message": headers.get("grpc-message"),
      "x-request-id": headers.get("x-request-id") !== null,
      vary: headers.get("vary"),
    };
  }
  return seen;
}

/** How a call with a header that is not allowed ends, in the words of the browser. */
async function callRefused(baseUrl) {
  try {
    await fetch(baseUrl + GET, { method: "POST", headers: { "x-other": "1", "content-type": "application/json" }, body: "{}" });
    return "answered";
  } catch (error) {
    return error.name;
  }
}

globalThis.metagate = { clients: Object.keys(CLIENTS), playClient, look, callRefused };
