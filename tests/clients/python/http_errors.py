"""Errors over HTTP, as the scenarios write them; the answer itself where something in it does not belong together."""

import base64

from zitadel import message_pb2

# gRPC's codes: what Connect calls them, and their HTTP status.
CODES = {
    3: ("invalid_argument", 400),
    4: ("deadline_exceeded", 504),
    5: ("not_found", 404),
    7: ("permission_denied", 403),
    8: ("resource_exhausted", 429),
    9: ("failed_precondition", 400),
    13: ("internal", 500),
    14: ("unavailable", 503),
    16: ("unauthenticated", 401),
}
NAMES = {name: code for code, (name, _) in CODES.items()}


def connect_error(status, body):
    """Of Connect: its detail is in bytes."""
    try:
        details = [(detail["type"], message_pb2.ErrorDetail.FromString(decoded(detail["value"]))) for detail in body.get("details", [])]
        return written(status, NAMES[body["code"]], body["message"], [(type, value.id, value.message) for type, value in details])
    except (KeyError, TypeError, ValueError, AttributeError):
        return {"status": status, "body": body}


def rest_error(status, body):
    """Of REST: a `google.rpc.Status` in JSON."""
    try:
        details = [(detail["@type"].removeprefix("type.googleapis.com/"), detail["id"], detail["message"]) for detail in body.get("details", [])]
        return written(status, body["code"], body["message"], details)
    except (KeyError, TypeError, ValueError, AttributeError):
        return {"status": status, "body": body}


def decoded(base64_without_padding):
    return base64.b64decode(base64_without_padding + "=" * (-len(base64_without_padding) % 4))


def written(status, code, message, details):
    if status != CODES[code][1]:
        raise ValueError("an HTTP status of another code")
    if not details:
        return {"code": code, "text": message}
    [(type, id, text)] = details
    if (type, f"{text} ({id})") != ("zitadel.v1.ErrorDetail", message):
        raise ValueError("a detail that says something else")
    return {"code": code, "text": text, "id": id}
