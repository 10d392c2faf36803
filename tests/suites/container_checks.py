"""Starts a static binary as the Dockerfile's image would, in a root with what its COPY lines bring and nothing else, and calls it.

Argument: the binary. It is root that changes the root; the program is the user of the Dockerfile.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc

ISSUER = "issuer.test"
SECONDS_MAX = 30


def dockerfile():
    """The instructions of the last stage, as pairs."""
    text = re.sub(r"\\\n", "", pathlib.Path("Dockerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = max(index for index, (name, _) in enumerate(lines) if name == "FROM")
    assert lines[last][1] == "scratch", "the image begins with nothing"
    return lines[last + 1 :]


class Image:
    """A folder that is the image, and how its program is started."""

    def __init__(self, root, binary, roots):
        self.root, self.environment = root, {}
        for name, value in dockerfile():
            if name == "COPY":
                *options, source, target = value.split()
                self.copy(options, source, root / target.lstrip("/"), binary, roots)
            elif name == "ENV":
                self.environment |= dict(part.split("=", 1) for part in shlex.split(value))
            elif name == "USER":
                self.user = value
            elif name == "WORKDIR":
                self.folder = value
            elif name in ("ENTRYPOINT", "CMD"):
                setattr(self, name.lower(), json.loads(value))
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", self.user), "a user by number, and not root"

    def copy(self, options, source, target, binary, roots):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith("/metagate"):
            shutil.copy(binary, target)
        elif source.endswith("/ca-certificates.crt"):
            target.write_text(roots)
        else:
            target.mkdir()
        for option in options:
            if option.startswith("--chown="):
                os.chown(target, *map(int, option.removeprefix("--chown=").split(":")))

    def enter(self):
        """Makes a process one of the image."""
        user, group = map(int, self.user.split(":"))
        os.chroot(self.root)
        os.chdir(self.folder)
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)

    @contextlib.contextmanager
    def run(self, *arguments):
        """Runs the program, and yields where it listens, and what else it said."""
        environment = self.environment | {"METAGATE_LISTEN": "127.0.0.1:0", "METAGATE_LOG_LEVEL": "warn"}
        command = [*self.entrypoint, *(arguments or self.cmd)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=self.enter)
        try:
            said = process.stdout.readline()
            assert said.startswith("metagate listens on http://"), f"it does not start: {said}"
            more = ""
            # Without arguments it makes a directory for development, and says who may call.
            while not arguments and "\ntoken: " not in more:
                more += process.stdout.readline() or "\ntoken: none"
            yield said.removeprefix("metagate listens on http://").strip(), more
        finally:
            process.terminate()
            code = process.wait(SECONDS_MAX)
        assert code == 0, f"it ends with {code}"


def curl(*arguments):
    return json.loads(subprocess.run(["curl", "-sS", *arguments], capture_output=True, check=True).stdout)


def rest(address, token, value=None):
    """Sets a value, or gets it."""
    url = f"http://{address}/management/v1/metadata/greeting"
    body = ["-d", json.dumps({"value": value})] if value else []
    return curl("-H", f"Authorization: Bearer {token}", *body, url)


def grpc_get(address, token):
    """A Get by gRPC; its message has one field, the key."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/zitadel.management.v1.ManagementService/GetOrgMetadata")
        return call(b"\n\x08greeting", metadata=[("authorization", f"Bearer {token}")], timeout=SECONDS_MAX)


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True, **options).stdout


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextlib.contextmanager
def issuer(work):
    """An authorization server with a name and a certificate; yields its URL, its root, and who asked for what."""
    certificate, key = work / "issuer.pem", work / "issuer-key.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
            "-subj", f"/CN={ISSUER}", "-addext", f"subjectAltName=DNS:{ISSUER}",
            "-addext", "basicConstraints=critical,CA:FALSE")
    modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": encoded(bytes.fromhex(modulus)), "e": "AQAB"}
    asked = []

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"keys": [jwk]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Keys)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://{ISSUER}:{server.server_port}", certificate.read_text(), asked
    server.shutdown()


def token_of(work, url):
    """A token of the issuer, for the user `ci`."""
    now = int(time.time())
    claims = {"iss": url, "aud": "metagate", "sub": "ci", "iat": now, "exp": now + 600}
    parts = [encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims)]
    signature = openssl("dgst", "-sha256", "-sign", work / "issuer-key.pem", input=".".join(parts).encode())
    return ".".join([*parts, encoded(signature)])


DIRECTORY = """
[instance]
id = "1"
[[organization]]
id = "org"
name = "Acme"
state = "active"
[[user]]
id = "ci"
name = "ci"
organization = "org"
state = "active"
[[membership]]
user = "ci"
organization = "org"
roles = ["ORG_OWNER"]
[[issuer]]
url = "URL"
audience = ["metagate"]
jwks = "URL/keys"
user_claim = "sub"
"""


def main(binary):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        # The user of the image goes through it.
        work.chmod(0o755)
        with issuer(work) as (url, certificate, asked):
            root = work / "root"
            root.mkdir()
            image = Image(root, binary, certificate)
            linked = subprocess.run(["ldd", binary], capture_output=True, text=True)
            assert re.search("statically linked|not a dynamic", linked.stdout + linked.stderr), "the binary is static"

            with image.run() as (address, said):
                token = re.search("token: (.*)", said)[1]
                rest(address, token, "aGVsbG8=")
                assert b"hello" in grpc_get(address, token)
            assert (root / "data/metagate.db").stat().st_uid == int(image.user.split(":")[0])
            print("container: an empty root, REST and gRPC: set, get")

            with image.run() as (address, _):
                assert rest(address, token)["metadata"]["value"] == "aGVsbG8="
            print("container: started again, the store has what was set")

            # What Docker puts into every container.
            (root / "etc/hosts").write_text(f"127.0.0.1 localhost {ISSUER}\n")
            (root / "data/own.toml").write_text(DIRECTORY.replace("URL", url))
            with image.run("serve", "--directory", "/data/own.toml", "--storage", "sqlite:/data/own.db") as (address, _):
                rest(address, token_of(work, url), "aGVsbG8=")
            assert asked, "the issuer's keys were fetched"
            print(f"container: a token of {url.rpartition(':')[0]}, by name, TLS and the image's roots")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
