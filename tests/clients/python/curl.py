"""Plays the scenarios by curl: REST, and Connect's JSON. Who logs in by a key signs with openssl.

Argument: the address of a server in cleartext. The stubs that protoc generates are on the module path.
"""

import base64
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from functools import cache
from urllib.parse import quote, urlencode

from google.api import annotations_pb2
from google.protobuf import json_format
from metagate import service_pb2
from zitadel import management_pb2
from zitadel.org.v2 import org_service_pb2 as org_v2
from zitadel.org.v2beta import org_service_pb2 as org_v2beta

from http_errors import connect_error, rest_error
from scenarios import headers_of, key_file, login_of, mask_times, play, token_of

SERVICES = {
    f"{file.DESCRIPTOR.package}.{service.name}": service
    for file in (management_pb2, org_v2, org_v2beta)
    for service in file.DESCRIPTOR.services_by_name.values()
}
API_SCOPES = "openid urn:zitadel:iam:org:project:id:zitadel:aud"


def curl(*arguments, body=None):
    """The status and the JSON of an answer."""
    command = ["curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", *arguments]
    if body is not None:
        command += ["--data-binary", "@-"]
    output = subprocess.run(command, input=body or "", capture_output=True, text=True, check=True).stdout
    answer, _, status = output.rpartition("\n")
    return int(status), json.loads(answer)


@cache
def access_token(url, token):
    """What a user's calls carry, as the login has it."""
    login = login_of(token)
    if login == "token":
        return token
    endpoint = curl(f"{url}/.well-known/openid-configuration")[1]["token_endpoint"]
    scope = ["--data-urlencode", f"scope={API_SCOPES}"]
    if login == "secret":
        _, answer = curl("-u", f"{token}:secret-{token}", "-d", "grant_type=client_credentials", *scope, endpoint)
    else:
        grant = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer"
        _, answer = curl("--data-urlencode", grant, "-d", f"assertion={assertion(url, key_file(token))}", *scope, endpoint)
    return answer["access_token"]


def assertion(issuer, path):
    """A JWT that says who has the key."""
    file = json.loads(path.read_text())
    now = int(time.time())
    claims = {"iss": file["userId"], "sub": file["userId"], "aud": issuer, "iat": now, "exp": now + 3600}
    encode = lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")
    parts = [encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": file["keyId"]}, claims)]
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key.pem"
        key.write_text(file["key"])
        command = ["openssl", "dgst", "-sha256", "-sign", key]
        signature = subprocess.run(command, input=".".join(parts).encode(), capture_output=True, check=True).stdout
    return ".".join([*parts, encode(signature)])


def rest(service, method, message):
    """HTTP method, path with query, and body of a message, as `google.api.http` says."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    message = dict(message)
    names = {field.name: field.json_name for field in method.input_type.fields}
    path = re.sub(r"{(\w+)}", lambda found: quote(message.pop(names[found[1]]), safe=""), getattr(rule, verb))
    path = service.GetOptions().Extensions[service_pb2.service].rest_prefix + path
    if rule.body:
        return verb.upper(), path, json.dumps(message)
    query = urlencode(message, doseq=True)
    return verb.upper(), f"{path}?{query}" if query else path, None


def call(step, url, organization, encoding):
    """What a step comes to, as the scenarios write it."""
    name, method = step["rpc"].split("/")
    service = SERVICES[name]
    descriptor = service.methods_by_name[method]
    if encoding == "REST":
        verb, path, body = rest(service, descriptor, step["message"])
    else:
        verb, path, body = "POST", f"/{step['rpc']}", json.dumps(step["message"])
    headers = headers_of(step, organization) | {"content-type": "application/json"}
    if token_of(step):
        headers["authorization"] = f"Bearer {access_token(url, token_of(step))}"
    # An empty header is written with a semicolon.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers.items()]
    status, answer = curl("-X", verb, *(part for line in lines for part in ("-H", line)), url + path, body=body)
    if status != 200:
        return {"error": (rest_error if encoding == "REST" else connect_error)(status, answer)}
    reply = json_format.ParseDict(answer, descriptor.output_type._concrete_class())
    return {"reply": mask_times(json_format.MessageToDict(reply))}


def main(address):
    url = f"http://{address}"
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    failed = 0
    for index, encoding in enumerate(("REST", "Connect JSON")):
        organization = f"org-{index}"
        failed += play("curl", version, encoding, organization, lambda step: call(step, url, organization, encoding))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
