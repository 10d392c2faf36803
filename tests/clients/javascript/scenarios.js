// The scenarios, and how a client plays them. Runs in Node and in browsers.

import { base64Encode } from "@bufbuild/protobuf/wire";
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
    const got = JSON.stringify(await outcome(protos, step, organization, call));
    if (got !== want) {
      complaints.push(`${step.name}: got ${got.slice(0, 300)}, want ${want.slice(0, 300)}`);
    }
  }
  return complaints;
}

/** What a step comes to, as the scenarios write it. */
async function outcome(protos, step, organization, call) {
  const method = protos.method(step.rpc);
  const request = fromJson(method.input, step.message, { registry: protos.registry });
  try {
    const reply = await call(method, request, { headers: headersOf(step, organization), timeoutMs: 60_000 });
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
  const zeros = (_, count) => base64Encode(new Uint8Array(Number(count)));
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
