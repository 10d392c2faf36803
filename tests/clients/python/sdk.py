"""Plays the scenarios by ZITADEL's SDK, `zitadel-client`: Connect's JSON, without a header of its version.

Argument: the address of a server in cleartext. It has the services of organizations only, and sends every header but its
own by a client's settings: so each caller, with what else it sends, has a client.
"""

import re
import sys
import warnings
from functools import cache
from importlib.metadata import version

from authlib.deprecate import AuthlibDeprecationWarning
from pydantic import ValidationError

warnings.simplefilter("ignore", AuthlibDeprecationWarning)
from zitadel_client import models
from zitadel_client.auth.no_auth_authenticator import NoAuthAuthenticator
from zitadel_client.exceptions import ApiError
from zitadel_client.transport_options import TransportOptions
from zitadel_client.zitadel import Zitadel

from http_errors import connect_error
from scenarios import NotSent, headers_of, key_file, login_of, mask_times, play, token_of

SERVICES = {
    "zitadel.org.v2.OrganizationService": ("organizations", "OrganizationService"),
    "zitadel.org.v2beta.OrganizationService": ("beta_organizations", "BetaOrganizationService"),
}


@cache
def client_of(url, token, headers):
    """A client of a caller; one who has logged in stays so."""
    options = TransportOptions(default_headers=dict(headers))
    if token is None:
        return Zitadel(NoAuthAuthenticator(url), lambda config: setattr(config, "default_headers", dict(headers)))
    match login_of(token):
        case "key":
            return Zitadel.with_private_key(url, str(key_file(token)), transport_options=options)
        case "secret":
            return Zitadel.with_client_credentials(url, token, f"secret-{token}", transport_options=options)
        case _:
            return Zitadel.with_access_token(url, token, transport_options=options)


def call(step, url, organization):
    """What a step comes to, as the scenarios write it."""
    service, method = step["rpc"].split("/")
    if service not in SERVICES:
        raise NotSent(f"it has no {service}")
    attribute, prefix = SERVICES[service]
    try:
        request = getattr(models, f"{prefix}{method}Request").from_dict(step["message"])
    except ValidationError as error:
        raise NotSent(f"refused by the SDK: {error.errors()[0]['msg']}") from error
    client = client_of(url, token_of(step), tuple(headers_of(step, organization).items()))
    api = getattr(client, attribute)
    function = getattr(api, re.sub("(?<!^)(?=[A-Z])", "_", method).lower())
    try:
        reply = function(request)
    except ApiError as error:
        return {"error": connect_error(error.code, error.response_body)}
    # As the SDK would write it: times are no strings to it.
    return {"reply": mask_times(without(None, api.api_client.sanitize_for_serialization(reply)))}


def without(unseen, value):
    """A document without members that are `unseen`."""
    if isinstance(value, dict):
        return {name: without(unseen, member) for name, member in value.items() if member != unseen}
    return [without(unseen, item) for item in value] if isinstance(value, list) else value


def seen(outcome):
    """An outcome as the SDK shows it: its entries have no times."""
    reply = outcome.get("reply", {})
    return {"reply": reply | {"metadata": without("$TIME", reply["metadata"])}} if "metadata" in reply else outcome


def main(address):
    url = f"http://{address}"
    failed = play(
        "zitadel-client (Python)",
        version("zitadel-client"),
        "Connect JSON",
        "org-0",
        lambda step: call(step, url, "org-0"),
        seen,
        "shows no times of entries",
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
