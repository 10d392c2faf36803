// ZITADEL's SDKs in Node, and how their callers log in.

import { existsSync, readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { NewAuthorizationBearerInterceptor } from "@zitadel/client";
import { createServerTransport } from "@zitadel/client/node";
import {
  createAccessTokenInterceptor,
  createManagementClient,
  createOrganizationClient,
  createServiceAccountInterceptor,
} from "@zitadel/node/dist/api/index.js";
import { ServiceAccount } from "@zitadel/node/dist/credentials/index.js";
import { ManagementServiceDefinition } from "@zitadel/node/dist/api/generated/zitadel/management.js";
import { OrganizationServiceDefinition } from "@zitadel/node/dist/api/generated/zitadel/org/v2beta/org_service.js";
import { ClientError, Metadata } from "nice-grpc-common";

import { Failure, NotSent } from "./scenarios.js";
import { zitadelClient } from "./zitadel-client.js";

/** The SDKs: name with transport, and call. They log in by a token or a key. */
export function sdksOf(protos, baseUrl, login) {
  const accountOf = (token) => {
    const file = `${process.env.KEYS}/${token}.json`;
    return login === "key" && existsSync(file) ? ServiceAccount.fromJsonString(readFileSync(file, "utf8")) : undefined;
  };
  // `@zitadel/client` takes tokens; that of a key comes by `@zitadel/node`.
  const accessToken = once(async (token) => accountOf(token)?.authenticate(baseUrl, { apiAccess: true }) ?? token);
  const client = (create, createAnonymous) =>
    zitadelClient(
      protos,
      once(async (token) => (token === undefined ? createAnonymous({ baseUrl }) : create(await accessToken(token)))),
    );
  const connect = (createTransport) => {
    const options = { baseUrl, httpVersion: "1.1" };
    const create = (token) => createTransport({ ...options, interceptors: [NewAuthorizationBearerInterceptor(token)] });
    return client(create, () => createTransport(options));
  };
  const interceptorsOf = (token) => {
    const account = accountOf(token);
    const interceptor = account
      ? createServiceAccountInterceptor(baseUrl, account, { apiAccess: true })
      : createAccessTokenInterceptor(token);
    return token === undefined ? [] : [interceptor];
  };
  return [
    ["@zitadel/client gRPC", client((token) => createServerTransport(token, { baseUrl }), createGrpcTransport)],
    ["@zitadel/client gRPC-Web", connect(createGrpcWebTransport)],
    ["@zitadel/client Connect", connect(createConnectTransport)],
    ["@zitadel/node gRPC", zitadelNode(protos, baseUrl, interceptorsOf)],
  ];
}

/** `@zitadel/node`; `interceptorsOf(token)` are those that log a caller in. */
function zitadelNode(protos, baseUrl, interceptorsOf) {
  const services = {
    [ManagementServiceDefinition.fullName]: [ManagementServiceDefinition, createManagementClient],
    [OrganizationServiceDefinition.fullName]: [OrganizationServiceDefinition, createOrganizationClient],
  };
  const clientsOf = once((token) => {
    const interceptors = interceptorsOf(token);
    return once((name) => services[name][1](baseUrl, ...interceptors));
  });
  return async (method, request, { headers: { authorization, ...headers }, timeoutMs }) => {
    const service = method.parent.typeName;
    if (services[service] === undefined) {
      throw new NotSent(`it creates no client of ${service}`);
    }
    const client = clientsOf(authorization?.replace("Bearer ", ""))(service);
    const { requestType, responseType } = services[service][0].methods[method.localName];
    let status;
    const options = {
      metadata: new Metadata(headers),
      signal: AbortSignal.timeout(timeoutMs),
      onTrailer: (trailers) => (status = trailers.get("grpc-status-details-bin")),
    };
    try {
      // The messages of the SDK are its own.
      const reply = await client[method.localName](requestType.decode(toBinary(method.input, request)), options);
      return fromBinary(method.output, responseType.encode(reply).finish());
    } catch (error) {
      throw error instanceof ClientError ? new Failure(error.code, error.details, protos.parseStatus(status)) : error;
    }
  };
}

/** A function that is called once for each argument. */
function once(make) {
  const made = new Map();
  return (argument) => {
    if (!made.has(argument)) {
      made.set(argument, make(argument));
    }
    return made.get(argument);
  };
}
