// Which version of a client is installed.

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// Those that are not called like their package.
const PACKAGES = {
  "connect-node": "@connectrpc/connect-node",
  "connect-web": "@connectrpc/connect-web",
  "grpc-js": "@grpc/grpc-js",
  "@zitadel/client/web": "@zitadel/client",
};

/** `fetch` is Node's own. */
export async function versionOf(client) {
  if (client === "fetch") {
    return process.version.slice(1);
  }
  const folder = join(dirname(fileURLToPath(import.meta.url)), "node_modules", PACKAGES[client] ?? client);
  return JSON.parse(await readFile(join(folder, "package.json"), "utf8")).version;
}
