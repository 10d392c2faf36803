"""The manual's files, a function a kind: read by who reads such files."""

import json
import pathlib
import re
import subprocess

import hcl2
import yaml

from manual import Wrong
from server import Server

# What ZITADEL's provider for Terraform calls its blocks and their attributes: those that must be there, and those that may.
TERRAFORM = {
    ("provider", "zitadel"): (
        {"domain"},
        {"access_token", "insecure", "jwt_file", "jwt_profile_file", "jwt_profile_json", "port", "token"},
    ),
    ("resource", "zitadel_organization_metadata"): ({"organization_id", "key", "value"}, set()),
    ("resource", "zitadel_org_metadata"): ({"key", "value"}, {"org_id"}),
}


def terraform(text):
    """Parses a configuration; its blocks must have the provider's names. Variables may be anything."""
    parsed = hcl2.loads(text)
    for kind in ("provider", "resource"):
        for block in parsed.get(kind, []):
            for label, body in block.items():
                label = label.strip('"')
                body = body if kind == "provider" else next(iter(body.values()))
                names = {name for name in body if not name.startswith("__")}
                required, optional = TERRAFORM.get((kind, label), (None, None))
                if required is None:
                    raise Wrong(f"the provider has no {kind} {label}")
                if required - names or names - required - optional:
                    raise Wrong(f"{kind} {label}: lacks {required - names}, has no {names - required - optional}")
    if not parsed.get("provider") or not parsed.get("resource"):
        raise Wrong("it has no provider, or no resource")


def directory(metagate, work, text):
    """Starts a server with directory files, one behind the other; what a page leaves out is put in."""
    subprocess.run(["openssl", "genrsa", "-out", work / "own.pem", "2048"], check=True, capture_output=True)
    key = subprocess.run(
        ["openssl", "rsa", "-in", work / "own.pem", "-pubout"], check=True, capture_output=True, text=True
    ).stdout
    text = text.replace("-----BEGIN PUBLIC KEY-----\n…", key)
    text = text.replace('sha256 = "…"', 'sha256 = "' + "0" * 63 + '1"', 1)
    text = text.replace('sha256 = "…"', 'sha256 = "' + "0" * 63 + '2"', 1)
    secret = work / "secret"
    secret.write_text("secret")
    text = re.sub(r'client_secret_file = "[^"]*"', f'client_secret_file = "{secret}"', text)
    text = re.sub(r'\nca = "[^"]*"', f'\nca = "{pathlib.Path("tests/tls/ca.pem").resolve()}"', text)
    file = work / "page.toml"
    file.write_text(text)
    with Server(metagate, work, "serve", "--storage", "memory:", "--directory", str(file)):
        pass


def shape(value):
    """The names in a document, without its values."""
    return {name: shape(member) for name, member in value.items()} if isinstance(value, dict) else None


def export(text, exported):
    """The lines of an export: each kind that a page shows has the members that a real one has."""
    real = {next(iter(line)): shape(line) for line in map(json.loads, exported.splitlines())}
    shown = [json.loads(line) for line in text.splitlines()]
    for line in shown:
        if shape(line) != real.get(next(iter(line))):
            raise Wrong(f"a line of exports is {real.get(next(iter(line)))}, and not {shape(line)}")


def settings(page, metagate):
    """Every setting is in a table of the page, and nothing else is."""
    part = page[page.index("\n## Settings") : page.index("\n## Where it listens")]
    shown = {name for row in re.findall(r"(?m)^\| (`.*?) \|", part) for name in re.findall(r"`([a-z-]+)`", row)}
    usage = subprocess.run([metagate, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    real = set(re.findall(r"(?m)^ +--([a-z-]+)", usage)) - {"config", "help"}
    if shown != real:
        raise Wrong(f"the tables of settings lack {real - shown}, and have {shown - real} that are none")


def workflow(text, port):
    """The steps of a workflow of GitHub Actions that are commands: name, environment, script, as they are run there."""
    parsed = yaml.safe_load(text.replace("8080", port))
    # To YAML 1.1, `on` is a truth.
    if set(parsed) - {"name"} != {True, "jobs"}:
        raise Wrong(f"a workflow has `on` and `jobs`, and not {set(parsed)}")
    for job in parsed["jobs"].values():
        if set(job) != {"runs-on", "steps"}:
            raise Wrong(f"a job has {set(job)}")
        for step in job["steps"]:
            if set(step) - {"name", "env"} not in ({"run"}, {"uses"}):
                raise Wrong(f"a step has {set(step)}")
            if "run" in step:
                yield step.get("name", "a step"), step.get("env", {}), step["run"]
