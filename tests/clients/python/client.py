"""Plays the scenarios by grpcio, with the stubs that protoc generates, in cleartext and with TLS.

Arguments: the addresses of a server in cleartext and of one with TLS. The stubs are on the module path.
"""

import sys

import grpc
from google.protobuf import json_format
from google.rpc import status_pb2
from zitadel import management_pb2_grpc, message_pb2
from zitadel.org.v2 import org_service_pb2_grpc as org_v2
from zitadel.org.v2beta import org_service_pb2_grpc as org_v2beta

from scenarios import TESTS, headers_of, mask_times, play, token_of

STUBS = {
    "zitadel.management.v1.ManagementService": management_pb2_grpc.ManagementServiceStub,
    "zitadel.org.v2.OrganizationService": org_v2.OrganizationServiceStub,
    "zitadel.org.v2beta.OrganizationService": org_v2beta.OrganizationServiceStub,
}
DEADLINE_SECONDS = 60


def error_of(error):
    """An error as the scenarios write it; with whatever in it does not belong together."""
    outcome = {"code": error.code().value[0], "text": error.details()}
    trailers = dict(error.trailing_metadata())
    if "grpc-status-details-bin" not in trailers:
        return outcome
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    detail = message_pb2.ErrorDetail()
    if len(status.details) != 1 or not status.details[0].Unpack(detail):
        return outcome | {"details": str(status.details)}
    if (status.code, status.message) != (outcome["code"], outcome["text"]):
        return outcome | {"status": str(status)}
    if error.details() != f"{detail.message} ({detail.id})":
        return outcome | {"detail": str(detail)}
    return outcome | {"text": detail.message, "id": detail.id}


def call(step, channel, organization):
    """What a step comes to, as the scenarios write it."""
    service, method = step["rpc"].split("/")
    stub = STUBS[service]
    descriptor = sys.modules[stub.__module__.removesuffix("_grpc")].DESCRIPTOR
    request = descriptor.services_by_name[service.rsplit(".")[-1]].methods_by_name[method].input_type._concrete_class()
    json_format.ParseDict(step["message"], request)
    headers = list(headers_of(step, organization).items())
    if token_of(step):
        headers.append(("authorization", f"Bearer {token_of(step)}"))
    try:
        reply = getattr(stub(channel), method)(request, metadata=headers, timeout=DEADLINE_SECONDS)
    except grpc.RpcError as error:
        return {"error": error_of(error)}
    return {"reply": mask_times(json_format.MessageToDict(reply))}


def main(cleartext, tls):
    certificate = (TESTS / "tls/certificate.pem").read_bytes()
    channels = {
        "gRPC": grpc.insecure_channel(cleartext),
        "gRPC, TLS": grpc.secure_channel(tls, grpc.ssl_channel_credentials(certificate)),
    }
    failed = 0
    for index, (name, channel) in enumerate(channels.items()):
        organization = f"org-{index}"
        failed += play("grpcio", grpc.__version__, name, organization, lambda step: call(step, channel, organization))
        channel.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
