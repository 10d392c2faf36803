// The API's messages, from a descriptor set. Runs in Node and in browsers.

import { createFileRegistry, fromBinary, getOption, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export class Protos {
  /** From the bytes of a `google.protobuf.FileDescriptorSet`. */
  constructor(bytes) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
    this.errorDetail = this.registry.getMessage("zitadel.v1.ErrorDetail");
  }

  /** The method `package.Service/Method`. */
  method(rpc) {
    const [service, name] = rpc.split("/");
    return this.registry.getService(service).methods.find((method) => method.name === name);
  }

  /** The HTTP method, the path template and whether there is a body, as `google.api.http` says. */
  binding(method) {
    const { pattern, body } = getOption(method, this.registry.getExtension("google.api.http"));
    const { restPrefix } = getOption(method.parent, this.registry.getExtension("metagate.v1.service"));
    return { httpMethod: pattern.case.toUpperCase(), template: restPrefix + pattern.value, hasBody: body === "*" };
  }

  /** An `ErrorDetail` in bytes, as proto3 JSON. */
  parseDetail(bytes) {
    return toJson(this.errorDetail, fromBinary(this.errorDetail, bytes));
  }

  /** The details of a `google.rpc.Status` in bytes, each as proto3 JSON; of an absent one, none. */
  parseStatus(bytes) {
    if (bytes === undefined) {
      return [];
    }
    const { details } = fromBinary(this.registry.getMessage("google.rpc.Status"), bytes);
    return details.map(({ typeUrl, value }) => {
      if (typeUrl !== `type.googleapis.com/${this.errorDetail.typeName}`) {
        throw new Error(`a detail of type ${typeUrl}`);
      }
      return this.parseDetail(value);
    });
  }
}
