"""System checks of Django: settings of the site itself that cannot work."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, Tags, Warning, register

from queues import setting_rules
from queues.aws import names
from queues.checks import TAG, error_if
from queues.models.live import LiveConsumer
from queues.setting_rules import (
    Rule,
    each,
    is_address,
    is_host,
    is_http,
    is_origin,
    number,
    unless_empty,
)

_VISIBLE = re.compile(r"[\x21-\x7e]*")
_DSN = re.compile(r"(https?://)[A-Za-z0-9]+(?::[A-Za-z0-9]+)?@([^@?#]+/\d+)")
_RELEASE = LiveConsumer._meta.get_field("release").max_length or 0
# Those of notifier.staff.factors, which a consumer does not load.
_WORDS = {"off", "roles", "all"}
_GROUP_NAME = Group._meta.get_field("name").max_length or 0


def _names_who(words: list[str]) -> bool:
    """Return True for one of the three words, or for names that groups may have."""
    is_word = not _WORDS.isdisjoint(words)
    return bool(words) and (len(words) == 1 if is_word else max(map(len, words)) <= _GROUP_NAME)


# What every process needs.
RULES = {
    "BASE_URL": Rule(
        is_origin,
        "Write http:// or https:// and the host, with a port if need be: no path, no query.",
    ),
    "DATABASE_PAGE_SECONDS": number(1, 3600, "a page is answered or given up within an hour"),
    "DATABASE_WORK_SECONDS": number(1, 3600, "a consumer gives a statement up within an hour"),
    "RELEASE": Rule(
        lambda text: text.isprintable() and len(text) <= _RELEASE,
        f"Write one line of {_RELEASE} characters at most.",
    ),
    "SENTRY_DSN": Rule(
        unless_empty(lambda text: is_http(_DSN.sub(r"\1\2", text)) and bool(_DSN.fullmatch(text))),
        "Write the DSN as Sentry shows it: https://<key>@<host>/<number of the project>.",
        is_secret=True,
    ),
    "ALERTS_TOPIC": Rule(
        unless_empty(lambda text: names.is_topic(text) and not text.endswith(".fifo")),
        "Write the name of a standard topic, or its ARN.",
    ),
    "SANDBOX_VERIFIED": each(
        lambda text: is_address(text) or is_host(text),
        "Write addresses or domains, with commas between them.",
    ),
}
# What the web needs; consumers are often started without it.
WEB_RULES = {
    "ALLOWED_HOSTS": each(
        lambda text: text == "*" or is_host(text.removeprefix(".")),
        "Write names of hosts, with commas between them: no http://, no port, no path.",
    ),
    "CSRF_TRUSTED_ORIGINS": each(
        lambda text: is_origin(text.replace("://*.", "://")),
        "Write origins, with commas between them: https:// and the host, no path.",
    ),
    "TRUSTED_PROXIES": number(0, 16, "no request passes more proxies"),
    "STAFF_SECOND_FACTOR": Rule(
        _names_who, "Write off, roles or all; or the names of groups, with commas between them."
    ),
    "METRICS_TOKEN": Rule(
        lambda text: _VISIBLE.fullmatch(text) is not None,
        "Write letters, digits and signs of ASCII, without spaces: it comes in a header.",
        is_secret=True,
    ),
}


@register(TAG)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check each setting by itself: a value that cannot work is told before it fails."""
    return setting_rules.check("notifier", RULES)


@register(TAG)
def base_url_is_reached_by_others(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Links of events may lead to the host of BASE_URL only: with the default each order would be a dead letter."""
    # What cannot be read is told by its rule.
    host = urlsplit(settings.BASE_URL).hostname if is_origin(settings.BASE_URL) else ""
    is_production = not settings.DEBUG and not settings.AWS_ENDPOINT_URL
    return error_if(
        is_production and host in ("localhost", "127.0.0.1", "::1"),
        f"BASE_URL={settings.BASE_URL} leads to this machine alone.",
        hint="Write the origin of the shop, the same for web, consumers and Lambda: https://shop.example.com.",
        id="notifier.E002",
    )


@register(TAG)
def admins_are_addresses(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A wrong address would mean that nobody is called."""
    wrong = [address for _, address in settings.ADMINS if not is_address(address)]
    return error_if(
        bool(wrong),
        f"ADMINS: {', '.join(wrong)} is no email address.",
        hint="Write addresses without names, with commas between them.",
        id="notifier.ADMINS",
    )


@register(Tags.security)
def values_of_the_web(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check what only the web needs."""
    found = setting_rules.check("notifier", WEB_RULES)
    if not settings.ALLOWED_HOSTS and not settings.DEBUG:
        # No error: a consumer, or a command such as migrate, does without.
        found.append(
            Warning(
                "ALLOWED_HOSTS is empty: the web answers every request with 400.",
                hint="Write the names by which browsers call it, with commas between them.",
                id="notifier.W001",
            )
        )
    return found
