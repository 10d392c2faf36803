// `@zitadel/client`, in one form with the other clients. Runs in Node and in browsers.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClientFor } from "@zitadel/client";
import { createManagementServiceClient } from "@zitadel/client/v1";
import { createOrganizationServiceClient } from "@zitadel/client/v2";
import { ManagementService } from "@zitadel/proto/zitadel/management_pb.js";
import { OrganizationService } from "@zitadel/proto/zitadel/org/v2/org_service_pb.js";
import { OrganizationService as OrganizationServiceBeta } from "@zitadel/proto/zitadel/org/v2beta/org_service_pb.js";

import { connectFailure } from "./callers.js";
import { NotSent } from "./scenarios.js";

const SERVICES = {
  [ManagementService.typeName]: [ManagementService, createManagementServiceClient],
  [OrganizationService.typeName]: [OrganizationService, createOrganizationServiceClient],
  [OrganizationServiceBeta.typeName]: [OrganizationServiceBeta, createClientFor(OrganizationServiceBeta)],
};

/** `transportOf(token)` is the SDK's transport for a token, or for none; it may be a promise. */
export function zitadelClient(protos, transportOf) {
  return async (method, request, { headers: { authorization, ...headers }, timeoutMs }) => {
    const [service, createClient] = SERVICES[method.parent.typeName];
    const own = service.method[method.localName];
    if (own === undefined) {
      throw new NotSent(`its ${service.typeName} has no metadata`);
    }
    const client = createClient(await transportOf(authorization?.replace("Bearer ", "")));
    // The messages of the SDK are its own.
    const message = fromBinary(own.input, toBinary(method.input, request));
    try {
      return fromBinary(method.output, toBinary(own.output, await client[method.localName](message, { headers, timeoutMs })));
    } catch (error) {
      throw connectFailure(protos, error);
    }
  };
}
