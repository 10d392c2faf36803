// The scenarios, and how a client plays them. Runs in Node and in browsers.

import { fromJson, toJson } from "@bufbuild/protobuf";

/** How a call fails, whoever made it: a gRPC code, the whole message, and the `ErrorDetail`s, as proto3 JSON. */
export class Failure extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/**
 * Plays `steps` with a client, for an organization of its own, and tells what went wrong, a line each.
 *
 * A client is `call(method, request, {headers, timeoutMs})`: a promise of the reply, or of a `Failure`.
 */
export async function play(protos, steps, organization, call) {
  const complaints = [];
  for (const step of steps.map((step) => expand(step, organization))) {
    const want = JSON.stringify(step.reply === undefined ? { error: step.error } : { reply: step.reply });
    const got = JSON.stringify(await attempt(protos, step, call, { headers: headersOf(step, organization), timeoutMs: 60_000 }));
    if (got !== want) {
      complaints.push(`${step.name}: got ${got.slice(0, 300)}, want ${want.slice(0, 300)}`);
    }
  }
  return complaints;
}

/** A call whose deadline, in its header, has passed: the server says so. The header is that of the client's protocol. */
export async function playExpired(protos, organization, call, header) {
  const headers = { ...headersOf({}, organization), [header]: header === "grpc-timeout" ? "0n" : "0" };
  const rpc = "zitadel.management.v1.ManagementService/GetOrgMetadata";
  const got = JSON.stringify(await attempt(protos, { rpc, message: { key: "a" } }, call, { headers }));
  const want = JSON.stringify({ error: { code: 4, text: "context deadline exceeded" } });
  return got === want ? [] : [`deadline that has passed: got ${got}, want ${want}`];
}

/** What a step comes to, as the scenarios write it. */
async function attempt(protos, step, call, options) {
  const method = protos.method(step.rpc);
  const request = fromJson(method.input, step.message, { registry: protos.registry });
  try {
    const reply = await call(method, request, options);
    return { reply: maskTimes(toJson(method.output, reply, { registry: protos.registry })) };
  } catch (error) {
    return { error: error instanceof Failure ? written(error) : String(error?.stack ?? error) };
  }
}

/** A failure as the scenarios write it: its text and id apart, if message and detail say the same. */
function written({ code, message, details }) {
  if (details.length === 0) {
    return { code, text: message };
  }
  const [{ id, message: text }] = details;
  return details.length === 1 && message === `${text} (${id})` ? { code, text, id } : { code, text: message, details };
}

function expand(step, organization) {
  const zeros = (_, count) => "A".repeat(Math.ceil((count * 4) / 3)).padEnd(Math.ceil(count / 3) * 4, "=");
  const text = JSON.stringify(step).replaceAll("$ORG", organization).replace(/\$BYTES\((\d+)\)/g, zeros);
  return JSON.parse(text);
}

function headersOf({ token = "owner", organization, language }, ownOrganization) {
  const headers = {};
  if (token !== null) {
    headers.authorization = `Bearer ${token}`;
  }
  if (organization !== null) {
    headers["x-zitadel-orgid"] = organization ?? ownOrganization;
  }
  if (language !== undefined) {
    headers["accept-language"] = language;
  }
  return headers;
}

function maskTimes(value) {
  return JSON.parse(JSON.stringify(value), (name, member) => (/(Date|Timestamp)$/.test(name) ? "$TIME" : member));
}
