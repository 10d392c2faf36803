"""Plays the scenarios by grpcio, with the stubs that protoc generates, in cleartext and with TLS.

Arguments: the addresses of a server in cleartext and of one with TLS. The stubs are on the module path.
"""

import base64
import json
import pathlib
import re
import sys

import grpc
from google.protobuf import json_format
from google.rpc import status_pb2
from zitadel import management_pb2_grpc, message_pb2
from zitadel.org.v2 import org_service_pb2_grpc

TESTS = pathlib.Path(__file__).resolve().parents[2]
STUBS = {
    "zitadel.management.v1.ManagementService": management_pb2_grpc.ManagementServiceStub,
    "zitadel.org.v2.OrganizationService": org_service_pb2_grpc.OrganizationServiceStub,
}
DEADLINE_SECONDS = 60


def expand(step, organization):
    """A step with what its placeholders stand for."""
    text = json.dumps(step).replace("$ORG", organization)
    zeros = lambda found: base64.b64encode(bytes(int(found[1]))).decode()
    return json.loads(re.sub(r"\$BYTES\((\d+)\)", zeros, text))


def mask_times(value):
    if isinstance(value, dict):
        is_time = lambda name: name.endswith(("Date", "Timestamp"))
        return {name: "$TIME" if is_time(name) else mask_times(member) for name, member in value.items()}
    return [mask_times(item) for item in value] if isinstance(value, list) else value


def headers_of(step, organization):
    token, selected = step.get("token", "owner"), step.get("organization", organization)
    headers = []
    if token:
        headers.append(("authorization", f"Bearer {token}"))
    if selected:
        headers.append(("x-zitadel-orgid", selected))
    if "language" in step:
        headers.append(("accept-language", step["language"]))
    return headers


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


def play(step, channel, organization):
    """What a step comes to, as the scenarios write it."""
    service, method = step["rpc"].split("/")
    call = getattr(STUBS[service](channel), method)
    descriptor = sys.modules[STUBS[service].__module__.removesuffix("_grpc")].DESCRIPTOR
    request = descriptor.services_by_name[service.rsplit(".")[-1]].methods_by_name[method].input_type._concrete_class()
    json_format.ParseDict(step["message"], request)
    try:
        reply = call(request, metadata=headers_of(step, organization), timeout=DEADLINE_SECONDS)
    except grpc.RpcError as error:
        return {"error": error_of(error)}
    return {"reply": mask_times(json_format.MessageToDict(reply))}


def main(cleartext, tls):
    steps = json.loads((TESTS / "clients/scenarios.json").read_text())
    certificate = (TESTS / "tls/certificate.pem").read_bytes()
    channels = {
        "cleartext": grpc.insecure_channel(cleartext),
        "TLS": grpc.secure_channel(tls, grpc.ssl_channel_credentials(certificate)),
    }
    failed = 0
    for index, (name, channel) in enumerate(channels.items()):
        organization = f"org-{index}"
        for step in (expand(step, organization) for step in steps):
            want = {kind: step[kind] for kind in ("reply", "error") if kind in step}
            got = play(step, channel, organization)
            if got != want:
                failed += 1
                print(f"{name}: {step['name']}: got {str(got)[:1000]}, want {str(want)[:1000]}")
        channel.close()
    print(f"python: {len(steps)} scenarios over {', '.join(channels)}: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
