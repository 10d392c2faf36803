// Plays the scenarios in headless Chromium, by a page of another origin than the servers'.
//
// Arguments: the addresses of a server in cleartext and of one with TLS, the file of the descriptor set, and Chromium.

import { once } from "node:events";
import { appendFile, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { build } from "esbuild";
import { chromium } from "playwright-core";

import { CLIENTS } from "./browser-clients.js";
import { row } from "./scenarios.js";
import { versionOf } from "./versions.js";

const [cleartext, tls, descriptors, executablePath] = process.argv.slice(2);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const STEPS = JSON.parse(await readFile(here("../scenarios.json"), "utf8"));
const MINUTES_MAX = 8;
const CHROMIUM_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What scripts see of calls without a token: of the headers, only those that are exposed. */
const SEEN = {
  Connect: { status: 401, "grpc-status": null, "grpc-message": null, "x-request-id": true, vary: null },
  "gRPC-Web": { status: 200, "grpc-status": "16", "grpc-message": "auth%20header%20missing", "x-request-id": true, vary: null },
};

/** Serves the page and what it reads; the address is its origin. */
async function servePage() {
  const bundle = await build({ entryPoints: [here("page.js")], bundle: true, format: "iife", write: false });
  const files = {
    "/": ["text/html", "<!doctype html><script src=page.js></script>"],
    "/page.js": ["text/javascript", bundle.outputFiles[0].contents],
    "/scenarios.json": ["application/json", JSON.stringify(STEPS)],
    "/protos.binpb": ["application/octet-stream", await readFile(descriptors)],
  };
  const server = createServer((request, response) => {
    const [type, content] = files[request.url] ?? [];
    response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" }).end(content);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [`http://127.0.0.1:${server.address().port}`, server];
}

/** A page whose context remembers no preflight of another's, and what it sends to `baseUrl`. */
async function openPage(browser, baseUrl) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const network = { calls: new Set(), preflights: new Map(), protocols: new Set() };
  const devtools = await context.newCDPSession(page);
  devtools.on("Network.requestWillBeSent", ({ type, request }) => {
    if (type !== "Preflight" && request.url.startsWith(baseUrl)) {
      network.calls.add(request.url);
    }
  });
  devtools.on("Network.responseReceived", ({ type, response }) => {
    if (response.url.startsWith(baseUrl)) {
      network.protocols.add(response.protocol);
      if (type === "Preflight") {
        network.preflights.set(response.url, response.status);
      }
    }
  });
  await devtools.send("Network.enable");
  await page.goto(origin);
  return { page, network, devtools };
}

/** How the traffic of a client is not that of another origin, over the protocol that Chromium speaks there. */
function complaintsOf({ calls, preflights, protocols }, protocol) {
  const complaints = [...calls]
    .filter((url) => preflights.get(url) !== 204)
    .map((url) => `${url}: preflight ${preflights.get(url)}, want 204`);
  if (calls.size === 0 || [...protocols].join() !== protocol) {
    complaints.push(`${calls.size} URLs were called over ${[...protocols]}, want ${protocol}`);
  }
  return complaints;
}

/** What scripts of another origin may see, and what they may not do. */
async function checkScripts(browser, baseUrl) {
  const { page, devtools } = await openPage(browser, baseUrl);
  const seen = await page.evaluate((baseUrl) => metagate.look(baseUrl), baseUrl);
  const refusal = new Promise((resolve) => {
    devtools.on("Network.loadingFailed", ({ corsErrorStatus }) => resolve(corsErrorStatus?.corsError));
  });
  const outcome = await page.evaluate((baseUrl) => metagate.callRefused(baseUrl), baseUrl);
  const checks = [
    ["what scripts see", seen, SEEN],
    ["a header that is not allowed", outcome, "TypeError"],
    // A call that was answered has none.
    ["its preflight", outcome === "answered" ? outcome : await refusal, "PreflightMissingAllowOriginHeader"],
  ];
  await page.context().close();
  return checks
    .filter(([, got, want]) => !isDeepStrictEqual(got, want))
    .map(([what, got, want]) => `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

setTimeout(() => {
  console.log(`browser: not done in ${MINUTES_MAX} minutes`);
  process.exit(1);
}, MINUTES_MAX * 60_000).unref();

const [origin, pageServer] = await servePage();
const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
let failed = 0;
const report = (name, complaints) => {
  complaints.forEach((complaint) => console.log(`${name}: ${complaint}`));
  failed += complaints.length;
};
let transports = 0;
for (const [baseUrl, protocol] of [
  [`http://${cleartext}`, "http/1.1"],
  [`https://${tls}`, "h2"],
]) {
  for (const name of Object.keys(CLIENTS)) {
    const { page, network, devtools } = await openPage(browser, baseUrl);
    const played = await page.evaluate((args) => metagate.playClient(...args), [name, baseUrl, `org-${transports}`]);
    // Its answer comes behind all events.
    await devtools.send("Network.disable");
    report(`${name} over ${protocol}`, [...played.complaints, ...complaintsOf(network, protocol)]);
    const [client, ...transport] = name.split(" ");
    const version = client === "fetch" ? browser.version() : await versionOf(client);
    const where = `${transport.join(" ")}, ${protocol}, Chromium ${browser.version().split(".")[0]}`;
    await appendFile(process.env.ROWS, row(client, version, where, "token", played));
    await page.context().close();
    transports += 1;
  }
  report(`scripts over ${protocol}`, await checkScripts(browser, baseUrl));
}
await browser.close();
pageServer.close();
process.exit(failed > 0 ? 1 : 0);
