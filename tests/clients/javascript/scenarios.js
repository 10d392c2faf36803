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

/** A step that a client has no way to send, and why. */
export class NotSent extends Error {}

/**
 * Plays `steps` with a client, for an organization of its own: how many passed, and in how many seconds; what went wrong, a
 * line each; and what was not sent, as a note.
 *
 * A client is `call(method, request, {headers, timeoutMs})`: a promise of the reply, of a `Failure`, or of `NotSent`. With
 * `deadlineHeader`, that of its protocol, a deadline that has passed is played too: the server says so.
 */
export async function play(protos, steps, organization, call, deadlineHeader) {
  const played = { passed: 0, complaints: [], note: "" };
  const notSent = new Map();
  const check = async (step, options) => {
    const want = JSON.stringify(step.reply === undefined ? { error: step.error } : { reply: step.reply });
    const outcome = await attempt(protos, step, call, options);
    const got = JSON.stringify(outcome);
    if (outcome.notSent !== undefined) {
      notSent.set(outcome.notSent, (notSent.get(outcome.notSent) ?? 0) + 1);
    } else if (got === want) {
      played.passed += 1;
    } else {
      played.complaints.push(`${step.name}: got ${got.slice(0, 300)}, want ${want.slice(0, 300)}`);
    }
  };
  const started = Date.now();
  for (const step of steps.map((step) => expand(step, organization))) {
    await check(step, { headers: headersOf(step, organization), timeoutMs: 60_000 });
  }
  if (deadlineHeader !== undefined) {
    const headers = { ...headersOf({}, organization), [deadlineHeader]: deadlineHeader === "grpc-timeout" ? "0n" : "0" };
    await check(EXPIRED, { headers });
  }
  played.seconds = (Date.now() - started) / 1000;
  played.note = [...notSent].map(([reason, count]) => `${count} not sent: ${reason}`).join("; ");
  if (played.passed === 0) {
    played.complaints.push("nothing passed");
  }
  return played;
}

/** A row of the table of what was played. */
export function row(client, version, transport, login, { passed, complaints, seconds, note }) {
  return `${[client, version, transport, login, `${passed}/${passed + complaints.length}`, seconds.toFixed(1), note].join("\t")}\n`;
}

const EXPIRED = {
  name: "deadline that has passed",
  rpc: "zitadel.management.v1.ManagementService/GetOrgMetadata",
  message: { key: "a" },
  error: { code: 4, text: "context deadline exceeded" },
};

/** What a step comes to, as the scenarios write it. */
async function attempt(protos, step, call, options) {
  const method = protos.method(step.rpc);
  const request = fromJson(method.input, step.message, { registry: protos.registry });
  try {
    const reply = await call(method, request, options);
    return { reply: maskTimes(toJson(method.output, reply, { registry: protos.registry })) };
  } catch (error) {
    if (error instanceof NotSent) {
      return { notSent: error.message };
    }
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
