"""The scenarios, who logs in how, and how a client plays them and reports."""

import base64
import json
import os
import pathlib
import re
import time
from collections import Counter

TESTS = pathlib.Path(__file__).resolve().parents[2]
STEPS = json.loads((TESTS / "clients/scenarios.json").read_text())
# `token`, `key` (a service account's key file) or `secret` (client credentials).
LOGIN = os.environ.get("LOGIN", "token")


class NotSent(Exception):
    """A step that a client has no way to send, and why."""


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
    """What a step's headers are, by name; the token aside."""
    headers = {"x-zitadel-orgid": step.get("organization", organization), "accept-language": step.get("language")}
    return {name: value for name, value in headers.items() if value is not None}


def token_of(step):
    """Whose step it is; `None`: nobody's."""
    return step.get("token", "owner")


def key_file(user):
    """The key file of a user; a name that only a token has, has none."""
    path = pathlib.Path(os.environ.get("KEYS", "")) / f"{user}.json"
    return path if path.is_file() else None


def login_of(token):
    """How a token's user logs in: as it was asked for, if the user is one."""
    return LOGIN if LOGIN != "token" and key_file(token) else "token"


def play(client, version, transport, organization, call, seen=lambda outcome: outcome, note=""):
    """Plays all steps with `call`, which makes of a step what the scenarios write; returns how many failed.

    A client that shows less of an outcome says what is `seen` of it, and notes that.
    """
    passed, failed, not_sent, started = 0, 0, Counter(), time.monotonic()
    for step in (expand(step, organization) for step in STEPS):
        want = {kind: step[kind] for kind in ("reply", "error") if kind in step}
        try:
            got = call(step)
        except NotSent as reason:
            not_sent[str(reason)] += 1
            continue
        if got == seen(want):
            passed += 1
        else:
            failed += 1
            print(f"{client}, {transport}: {step['name']}: got {str(got)[:1000]}, want {str(want)[:1000]}")
    note = "; ".join([note] * bool(note) + [f"{count} not sent: {reason}" for reason, count in not_sent.items()])
    row = [client, version, transport, LOGIN, f"{passed}/{passed + failed}", f"{time.monotonic() - started:.1f}", note]
    with open(os.environ["ROWS"], "a", encoding="utf-8") as rows:
        print(*row, sep="\t", file=rows)
    return failed if passed else 1
