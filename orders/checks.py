"""System checks of Django: settings of the API, the forms and other producers that cannot work as they are."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from queues import setting_rules
from queues.checks import TAG, error_if
from queues.setting_rules import Rule, each, is_file, is_http, unless_empty

_ID = re.compile(r"[\w+]{1,128}", re.ASCII)
_RESOURCE_SERVER = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
# Above it, an allowance is less than a microsecond of the clock that counts it.
MOST = 1_000_000
# Cognito API reference, CreateUserPoolClient and CreateResourceServer.
RULES = {
    "COGNITO_ISSUER": Rule(
        unless_empty(is_http),
        "Write https://cognito-idp.<region>.amazonaws.com/<id of the user pool>.",
    ),
    "COGNITO_CLIENT_IDS": each(
        lambda text: _ID.fullmatch(text) is not None,
        "Write ids of app clients, with commas between them; no names, no secrets.",
    ),
    "COGNITO_RESOURCE_SERVER": Rule(
        lambda text: _RESOURCE_SERVER.fullmatch(text) is not None,
        "Write the identifier of the resource server, without a slash and a scope behind it.",
    ),
    "API_LOCAL_KEY": Rule(unless_empty(is_file), "Write the path of a file, not of a folder."),
}


@register(Tags.security)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check each setting by itself: a value that cannot work is told before it fails."""
    return setting_rules.check("orders", RULES)


@register(TAG)
def foreign_accounts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect."""
    return error_if(
        settings.FOREIGN_ACCOUNTS not in ("known", "any"),
        f"FOREIGN_ACCOUNTS={settings.FOREIGN_ACCOUNTS} is unknown.",
        hint="Use known or any.",
        id="orders.E001",
    )


@register(Tags.security)
def issuer(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Keys come from the issuer; without TLS, whoever is between us and the issuer could give us other keys."""
    # Nobody is between us and this machine.
    safe = ("https://", "http://127.0.0.1:")
    return error_if(
        bool(settings.COGNITO_ISSUER) and not settings.COGNITO_ISSUER.startswith(safe),
        "COGNITO_ISSUER is no https:// address.",
        hint="Use https://cognito-idp.<region>.amazonaws.com/<id of the user pool>.",
        id="orders.E002",
    )


@register(Tags.security)
def applications(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The API accepts no token at all without a client id."""
    return error_if(
        bool(settings.COGNITO_ISSUER) and not settings.COGNITO_CLIENT_IDS,
        "COGNITO_ISSUER is set, and COGNITO_CLIENT_IDS is not: every token is refused.",
        hint="Name the app clients of the user pool whose tokens are taken.",
        id="orders.E003",
    )


@register(Tags.security)
def one_issuer(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The API asks only one of the two issuers."""
    return error_if(
        bool(settings.COGNITO_ISSUER and settings.API_LOCAL_KEY),
        "Both COGNITO_ISSUER and API_LOCAL_KEY are set: Cognito's tokens are refused.",
        hint="Leave API_LOCAL_KEY out to use Cognito.",
        id="orders.E004",
    )


@register(Tags.security)
def allowance(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An allowance of 0 would divide by zero."""
    return error_if(
        not 1 <= settings.API_REQUESTS_PER_MINUTE <= MOST,
        f"API_REQUESTS_PER_MINUTE must be from 1 to {MOST:,}.",
        hint="To have no API, set neither COGNITO_ISSUER nor API_LOCAL_KEY.",
        id="orders.E005",
    )


@register(Tags.security)
def form_limits(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A negative number would let nobody in, or everybody."""
    return [
        Error(
            f"{name} must be 0, for any number, or up to {MOST:,}.",
            hint="Leave it out for the default.",
            id="orders.E006",
        )
        for name in ("FORM_POSTS_PER_MINUTE", "FORM_ORDERS_PER_HOUR")
        if not 0 <= getattr(settings, name) <= MOST
    ]


@register(Tags.security, deploy=True)
def callers_are_told_apart(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The web process speaks plain HTTP, so in production something stands in front of it."""
    if settings.TRUSTED_PROXIES or not settings.FORM_POSTS_PER_MINUTE:
        return []
    return [
        Warning(
            "TRUSTED_PROXIES is 0: all who come through a proxy are one caller, who posts "
            f"{settings.FORM_POSTS_PER_MINUTE} forms a minute.",
            hint="Say how many proxies stand in front of the web process, each of which adds to X-Forwarded-For.",
            id="orders.W001",
        )
    ]
