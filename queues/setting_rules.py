"""Say what a setting must be to be of any use; the checks of each app have a table of these rules."""

from __future__ import annotations

import email.policy
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

# A label of RFC 1123; the underscore is what people give to hosts in networks of their own.
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_IP_6 = re.compile(r"[0-9A-Fa-f:.]+")
# RFC 5322, section 4.1: obs-phrase, a period in a name that is not quoted. Every reader takes it.
_HARMLESS = "period in 'phrase'"


@dataclass(frozen=True)
class Rule:
    """What a setting must be; ``write`` tells it to whoever has to correct the value.

    ``attribute`` is the name in Django's settings, where it is not that of the variable.
    """

    holds: Callable[[Any], bool]
    write: str
    attribute: str = ""
    is_secret: bool = False


def check(app: str, rules: Mapping[str, Rule]) -> list[CheckMessage]:
    """Return an error for each setting that breaks its rule; its id is ``<app>.<variable>``."""
    return [
        _error(app, name, getattr(settings, rule.attribute or name), rule)
        for name, rule in rules.items()
        if not rule.holds(getattr(settings, rule.attribute or name))
    ]


def check_named(app: str, kind: str, by_alias: Mapping[str, str], rule: Rule) -> list[CheckMessage]:
    """Do the same for settings of one kind, one for each alias: QUEUE_ORDERS is that of the alias orders."""
    return [
        _error(app, f"{kind}_{alias.upper().replace('-', '_')}", value, rule)
        for alias, value in by_alias.items()
        if not rule.holds(value)
    ]


def _error(app: str, name: str, value: Any, rule: Rule) -> Error:
    shown = ",".join(map(str, value)) if isinstance(value, list) else value
    what = name if rule.is_secret else f"{name}={shown}"
    return Error(f"{what} cannot work.", hint=rule.write, id=f"{app}.{name}")


def number(low: float, high: float, why: str, *, attribute: str = "") -> Rule:
    """A number between two others, with the reason of the bounds."""
    return Rule(
        lambda value: low <= value <= high,
        f"Write a number from {low:,} to {high:,}: {why}.",
        attribute,
    )


def each(holds: Callable[[str], bool], write: str) -> Rule:
    """A list, each item of which is so; it may be empty."""
    return Rule(lambda values: all(map(holds, values)), write)


def unless_empty(holds: Callable[[str], bool]) -> Callable[[str | None], bool]:
    """Let an empty value, or none at all, pass."""
    return lambda value: not value or holds(value)


def is_host(text: str) -> bool:
    """True for the name or number of a host, without a port."""
    bare = text.removeprefix("[").removesuffix("]")
    return bool(_HOST.fullmatch(text)) or (":" in bare and bool(_IP_6.fullmatch(bare)))


def is_host_and_port(text: str) -> bool:
    """True for a host, with a port or without."""
    return _is_at(f"//{text}") and not set(text) & set("/?#@")


def is_http(text: str) -> bool:
    """True for an http or https URL with a host, and without a name, a query or a fragment; it may have a path."""
    return (
        text.startswith(("http://", "https://"))
        and _is_at(text)
        and not set(text) & set("?#@")
        and text.isprintable()
        and " " not in text
    )


def is_origin(text: str) -> bool:
    """True for an http or https URL of a host and no more."""
    return is_http(text) and urlsplit(text).path == ""


def _is_at(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """True for one email address without a name."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return text.rpartition("@")[0].isascii()


def is_mailbox(text: str) -> bool:
    """True for one email address, with a name before it or without: RFC 5322, section 3.4.

    A name with a comma, an @ or another of the specials stands in quotes; without them it is another list of addresses.
    """
    if not text.isprintable():
        return False
    header: Any = email.policy.default.header_factory("From", text)
    defects = [one for one in header.defects if _HARMLESS not in str(one)]
    groups = header.groups
    return (
        not defects
        and len(groups) == len(header.addresses) == 1
        and groups[0].display_name is None
        and is_address(header.addresses[0].addr_spec)
    )


def is_folder(text: str) -> bool:
    """True for the path of a folder that is there, or that can be made as far as its name goes."""
    if not text.strip() or "\0" in text:
        return False
    return _nearest(Path(text)).is_dir()


def is_writable(text: str) -> bool:
    """True for a folder that this process may write to, or make."""
    return is_folder(text) and os.access(_nearest(Path(text)), os.W_OK | os.X_OK)


def is_file(text: str) -> bool:
    """True for the path of a file that is there, or that can be made as far as its name goes."""
    return not Path(text).is_dir() and is_folder(str(Path(text).parent))


def _nearest(path: Path) -> Path:
    """Return the path itself, or the first of its parents that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
