"""Checks for schemathesis in place of three of its own, which know the document only.

The document shows messages as the server writes them, and says the rules of their fields. The server reads more (the other
forms of proto3 JSON), and refuses more (what depends on the state of things)."""

import base64
import decimal
import json
import os
import re
from urllib.parse import unquote

import jsonschema_rs
import requests
import schemathesis
from hypothesis import strategies
from schemathesis.openapi.checks import UnsupportedMethodResponse
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

ORGANIZATION, TOKEN = os.environ["ORGANIZATION"], os.environ["TOKEN"]

schemathesis.openapi.format("uint64", strategies.integers(0, 2**64 - 1).map(str))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has valid calls find what they ask for: the organization every other time, and keys that are read or removed."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    path = case.path_parameters or {}
    if "organization_id" in path and len(repr(case.query) + repr(case.body)) % 2:
        path["organization_id"] = ORGANIZATION
    if case.method in ("GET", "DELETE"):
        fields = [fields for fields in (case.query, case.body) if isinstance(fields, dict)]
        keys = [unquote(path.get("key", "")), *(key for part in fields for key in part.get("keys", []))]
        requests.post(
            case.operation.schema.get_base_url().rstrip("/") + "/management/v1/metadata/_bulk",
            json={"metadata": [{"key": key, "value": "aGk="} for key in keys if key]},
            headers={"Authorization": f"Bearer {TOKEN}", "x-zitadel-orgid": ORGANIZATION},
            timeout=10,
        )


@schemathesis.check
def what_is_valid_is_accepted(context, response, case):
    # A refusal for another reason than the form of the request has an id.
    if not (response.status_code == 400 and response.json().get("details")):
        positive_data_acceptance(context, response, case)


@schemathesis.check
def what_is_invalid_is_refused(context, response, case):
    if not is_valid_once_read(response.request.body, case):
        negative_data_rejection(context, response, case)


@schemathesis.check
def other_methods_are_refused(context, response, case):
    try:
        unsupported_method(context, response, case)
    except UnsupportedMethodResponse as failure:
        # As over ZITADEL's REST, a 405 does not say what is allowed.
        if failure.failure_reason != "missing_allow_header":
            raise


def is_valid_once_read(body, case):
    """Whether the body is valid in the document's form, whatever the one it was sent in."""
    document = case.operation.schema.raw_schema
    parameters = case.operation.definition.raw["parameters"]
    schema = next((parameter["schema"] for parameter in parameters if parameter.get("in") == "body"), None)
    if schema is None:
        return False
    try:
        # What follows the first value is not looked at.
        value, _ = json.JSONDecoder().raw_decode((body or b"{}").decode().lstrip())
    except ValueError:
        return False
    root = {"definitions": document["definitions"], **resolved(schema, document)}
    validator = jsonschema_rs.Draft4Validator(root, formats={"byte": is_base64}, validate_formats=True)
    return validator.is_valid(read(value, schema, document))


def read(value, schema, document):
    """What is written as `value` in some form of proto3 JSON, in the document's form."""
    schema = resolved(schema, document)
    match schema.get("type"), value:
        case "object", None:
            return {}
        case "object", dict():
            fields = schema.get("properties", {})
            return {
                name: read(field, fields[name], document)
                for name, field in value.items()
                if name in fields and field is not None
            }
        case "array", list():
            return [read(item, schema["items"], document) for item in value]
        case "string", int() | float() | str() if schema.get("format") == "uint64":
            return value if (number := whole(value)) is None else str(number)
        case "string", int() | float() if "enum" in schema:
            return dict(enumerate(schema["enum"])).get(whole(value), value)
        case "string", str() if "enum" in schema:
            return value if value in schema["enum"] else schema["default"]
        case "integer", float() | str():
            return value if (number := whole(value)) is None else number
    return value


def whole(value):
    """The whole number that a number is, or a string that begins with one."""
    text = value if isinstance(value, str) else json.dumps(value)
    number = re.match(r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)(?![A-Za-z0-9+._-])", text)
    if not number or text.strip() != text:
        return None
    number = decimal.Decimal(number[1])
    return int(number) if number == number.to_integral_value() else None


def resolved(schema, document):
    while reference := schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref"):
        schema = document["definitions"][reference.removeprefix("#/definitions/")]
    return schema


def is_base64(text):
    text = re.sub("[\r\n]", "", text)
    url_safe = b"-_" if re.search("[-_]", text) else None
    try:
        base64.b64decode(text + "=" * (-len(text) % 4), altchars=url_safe, validate=True)
    except ValueError:
        return False
    return True
