// Clients in one form each: `call(method, request, {headers, timeoutMs})`. Runs in Node and in browsers.

import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { ConnectError } from "@connectrpc/connect";
import grpcWeb from "grpc-web";

import { Failure } from "./scenarios.js";

/** connect-es, by one of its transports. */
export function connectEs(protos, transport) {
  return async (method, request, { headers, timeoutMs }) => {
    try {
      const { message } = await transport.unary(method, undefined, timeoutMs, headers, request);
      return message;
    } catch (error) {
      throw connectFailure(protos, error);
    }
  };
}

/** What connect-es throws, as a `Failure`. */
export function connectFailure(protos, error) {
  if (!(error instanceof ConnectError)) {
    return error;
  }
  const details = error.details.map(({ type, value }) => {
    if (type !== protos.errorDetail.typeName) {
      throw new Error(`a detail of type ${type}`);
    }
    return protos.parseDetail(value);
  });
  return new Failure(error.code, error.rawMessage, details);
}

/** The runtime of `protoc-gen-grpc-web`; `format` is `binary` or `text`. */
export function grpcWebRuntime(protos, url, format) {
  const client = new grpcWeb.GrpcWebClientBase({ format });
  return async (method, request, { headers, timeoutMs }) => {
    const descriptor = new grpcWeb.MethodDescriptor(
      pathOf(method),
      grpcWeb.MethodType.UNARY,
      Object,
      Object,
      (message) => toBinary(method.input, message),
      (bytes) => fromBinary(method.output, bytes),
    );
    const deadline = timeoutMs === undefined ? {} : { deadline: String(Date.now() + timeoutMs) };
    try {
      return await client.unaryCall(url + pathOf(method), request, { ...headers, ...deadline }, descriptor);
    } catch (error) {
      if (!(error instanceof grpcWeb.RpcError)) {
        throw error;
      }
      const status = error.metadata["grpc-status-details-bin"];
      throw new Failure(error.code, error.message, protos.parseStatus(status && base64Decode(status)));
    }
  };
}

/** REST, by `fetch`. */
export function rest(protos, url) {
  return async (method, request, { headers, timeoutMs }) => {
    const { httpMethod, template, hasBody } = protos.binding(method);
    const message = toJson(method.input, request, { registry: protos.registry });
    const path = template.replace(/\{(\w+)\}/g, (_, name) => {
      const { jsonName } = method.input.fields.find((field) => field.name === name);
      const value = message[jsonName];
      delete message[jsonName];
      return encodeURIComponent(value);
    });
    const query = new URLSearchParams();
    if (!hasBody) {
      Object.entries(message).forEach(([name, values]) => values.forEach((value) => query.append(name, value)));
    }
    const response = await fetch(`${url}${path}${query.size > 0 ? `?${query}` : ""}`, {
      method: httpMethod,
      headers: timeoutMs === undefined ? headers : { ...headers, "grpc-timeout": `${timeoutMs}m` },
      body: hasBody ? JSON.stringify(message) : undefined,
    });
    const answer = await response.json();
    if (response.ok) {
      return fromJson(method.output, answer, { registry: protos.registry });
    }
    const details = (answer.details ?? []).map(({ "@type": type, ...detail }) => {
      if (type !== `type.googleapis.com/${protos.errorDetail.typeName}`) {
        throw new Error(`a detail of type ${type}`);
      }
      return detail;
    });
    throw new Failure(answer.code, answer.message, details);
  };
}

export function pathOf(method) {
  return `/${method.parent.typeName}/${method.name}`;
}
