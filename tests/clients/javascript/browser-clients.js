// The clients that browsers have, by name; each with the header that its deadlines are in.

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

import { createClientTransport } from "@zitadel/client/web";

import { connectEs, grpcWebRuntime, rest } from "./callers.js";
import { zitadelClient } from "./zitadel-client.js";

const connect = (useBinaryFormat) => ({
  create: (protos, baseUrl) => connectEs(protos, createConnectTransport({ baseUrl, useBinaryFormat })),
  deadlineHeader: "connect-timeout-ms",
});

const grpcWeb = (useBinaryFormat) => ({
  create: (protos, baseUrl) => connectEs(protos, createGrpcWebTransport({ baseUrl, useBinaryFormat })),
  deadlineHeader: "grpc-timeout",
});

const runtime = (format) => ({
  create: (protos, baseUrl) => grpcWebRuntime(protos, baseUrl, format),
  deadlineHeader: "grpc-timeout",
});

export const CLIENTS = {
  "connect-web Connect JSON": connect(false),
  "connect-web Connect binary": connect(true),
  "connect-web gRPC-Web JSON": grpcWeb(false),
  "connect-web gRPC-Web binary": grpcWeb(true),
  "grpc-web text": runtime("text"),
  "grpc-web binary": runtime("binary"),
  // It can be given no absent token.
  "@zitadel/client/web gRPC-Web": {
    create: (protos, baseUrl) =>
      zitadelClient(protos, (token) =>
        token === undefined ? createGrpcWebTransport({ baseUrl }) : createClientTransport(token, { baseUrl }),
      ),
    deadlineHeader: "grpc-timeout",
  },
  "fetch REST": { create: rest, deadlineHeader: "grpc-timeout" },
};
