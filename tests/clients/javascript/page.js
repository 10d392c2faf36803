// What the page runs: clients of another origin, in a browser.

import { CLIENTS } from "./browser-clients.js";
import { Protos } from "./protos.js";
import { play } from "./scenarios.js";

const GET = "/zitadel.management.v1.ManagementService/GetOrgMetadata";

async function playClient(name, baseUrl, organization) {
  const protos = new Protos(new Uint8Array(await (await fetch("/protos.binpb")).arrayBuffer()));
  const steps = await (await fetch("/scenarios.json")).json();
  const { create, deadlineHeader } = CLIENTS[name];
  return play(protos, steps, organization, create(protos, baseUrl), deadlineHeader);
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
    await response.arrayBuffer();
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

globalThis.metagate = { playClient, look, callRefused };
