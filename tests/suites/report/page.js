// The page of `metagate parity run --report html` in Chromium: its filters, and what it shows. Arguments: the page, and where
// pictures of it go.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

// The browser's driver is the clients'.
const require = createRequire(path.resolve("tests/clients/javascript/package.json"));
const { chromium } = require("playwright-core");

const [file, pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
const complaints = [];
page.on("console", (message) => complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => {
  if (!/^(file|data):/.test(request.url())) complaints.push(`it asks for ${request.url()}`);
});
await page.goto(`file://${path.resolve(file)}`);

const scenarios = () => page.locator("tr.scenario").allTextContents();
const steps = () => page.locator("tr.step").count();
const all = ["what passes", "what fails </script><b>", "what is known"];
assert.deepEqual(await scenarios(), all);
assert.equal(await steps(), 4);
assert.match(await page.locator("#summary").textContent(), /^3 scenarios, 4 steps, 20 calls in .* s: 6 failed, 2 known, 4 skipped$/);
await page.screenshot({ path: path.join(pictures, "report.png") });

// By state, by encoding, by text.
const box = (name) => page.getByRole("checkbox", { name: new RegExp(name) });
for (const state of ["passed", "known", "skipped"]) await box(state).uncheck();
assert.deepEqual(await scenarios(), [all[1]]);
await box("failed").uncheck();
assert.deepEqual(await scenarios(), []);
assert.equal(await page.locator("#nothing").isVisible(), true);
for (const state of ["passed", "failed", "known", "skipped"]) await box(state).check();
await page.locator("#columns input[value=rest]").uncheck();
assert.equal(await page.locator("#heads th").count(), 6);
await page.locator("#columns input[value=rest]").check();
await page.locator("#words").fill("expected-message");
assert.deepEqual(await scenarios(), [all[1]]);
await page.locator("#words").fill("SETORG");
assert.equal(await steps(), 1);
await page.locator("#words").fill("");

// What fails, byte by byte: gRPC's cell is the second.
await page.locator("tr.step", { hasText: "ü" }).count();
const failed = page.locator("tr.step").nth(2).locator("button");
await failed.nth(1).click();
const detail = page.locator("td.detail");
const text = await detail.textContent();
for (const part of ["expected-message", "POST http://", "grpc-status: 5", "Bearer $TOKEN", "grpcurl -plaintext", "-ü"]) {
  assert.ok(text.includes(part), `${part}: ${text}`);
}
assert.ok(!text.includes(process.env.METAGATE_PARITY_TOKEN), "a token is shown");
assert.equal(await detail.locator("del").first().textContent(), "was");
await detail.getByRole("button", { name: "hex" }).first().click();
assert.match(await detail.locator("pre").allTextContents().then((all) => all.join("\n")), /^000000 {2}00 00 00 00 /m);
await page.screenshot({ path: path.join(pictures, "detail.png"), fullPage: true });
await failed.nth(0).click();
assert.match(await detail.textContent(), /GET http:.*curl -i/s);
await failed.nth(0).click();
assert.equal(await detail.count(), 0);

assert.deepEqual(complaints, []);
await browser.close();
console.log("report: the page shows and filters what it should; nothing on its console");
