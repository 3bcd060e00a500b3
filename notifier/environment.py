"""Read environment variables; what cannot be read is one sentence that names the variable, never a traceback.

A message shows no value of a secret, nor of what may hold one.
"""

from __future__ import annotations

import builtins
import logging
import math
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_ON = ("on", "true", "yes", "y", "ok", "1")
_OFF = ("off", "false", "no", "n", "0")
_DATABASES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")

# RFC 2104, section 3: a key shorter than the output of the hash weakens an HMAC; Django signs by HMAC-SHA256.
KEY_LENGTH = 32
# Django's own check security.W009 asks for as many.
KEY_CHARACTERS = 5
_KEY_HINT = (
    "Whoever guesses it signs links and sessions of anybody. Set DEBUG=on for development, or a key of your own: "
    "openssl rand -base64 48"
)
_NO_SECRETS = (
    *("development-", "django-insecure", "insecure", "changeme", "change-me", "change_me"),
    *("password", "secret", "example", "default", "placeholder", "replace", "random characters"),
)


class Environment(environ.Env):  # type: ignore[misc]  # untyped
    """django-environ, but strict: it takes no misspelt word for off, nor ``1e5`` for 15."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any
    ) -> Any:
        """Return the value as ``cast`` makes it, the default where the variable is not set.

        Nothing is looked up in other variables: a password may begin with ``$``.
        """
        value = self.ENVIRON.get(var)
        if value is None:
            if default is self.NOTSET:
                raise ImproperlyConfigured(f"{var} is not set, and it has no default.")
            return default
        if isinstance(cast, list) or cast is list:
            return [item.strip() for item in value.split(",") if item.strip()]
        return cast(value) if cast else (value or default if default is None else value)

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> Any:
        """Read on or off, and the words that say the same."""
        return self._read(var, _switch, "Write on or off, or leave the line out.", default)

    def int(self, var: str, default: Any = environ.Env.NOTSET) -> Any:
        """Read a whole number; nothing after the = is the default."""
        return self._number(var, int, "Write a whole number, in digits.", default)

    def float(self, var: str, default: Any = environ.Env.NOTSET) -> Any:
        """Read a number; nothing after the = is the default."""
        return self._number(var, _finite, "Write a number, as in 0.5.", default)

    def choice(self, var: str, *, of: Sequence[str], default: str) -> str:
        """Read one of these words."""
        value = str(self(var, default=default))
        if value not in of:
            words = ", ".join(word or "nothing" for word in of)
            raise ImproperlyConfigured(f"{var}={value} is unknown. Write one of: {words}.")
        return value

    def level(self, var: str, *, default: str) -> str:
        """Read a level of logging."""
        return self.choice(var, of=tuple(logging.getLevelNamesMapping()), default=default)

    def zone(self, var: str, *, default: str) -> str:
        """Read the name of a time zone."""
        value = str(self(var, default=default))
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ImproperlyConfigured(
                f"{var}={value} is no time zone. Write one of the IANA's names, as in Europe/Vienna."
            ) from None
        return value

    def database(self, var: str, *, default: str) -> dict[str, Any]:
        """Read the URL of a database that the project runs on."""
        url = str(self(var, default=default))
        try:
            found = self.db_url_config(url) if url.partition("://")[0].isalnum() else {}
        except ValueError:
            found = {}
        if found.get("ENGINE") not in _DATABASES or not found.get("NAME"):
            raise ImproperlyConfigured(
                f"{var} is the URL of no database. Write sqlite:///<path> or "
                "postgres://<user>:<password>@<host>:5432/<name>; in the password, %40 stands for @, %2F for /."
            )
        return dict(found)

    def key(self, var: str, *, is_strict: builtins.bool) -> str:
        """Read a key to sign with; with ``is_strict`` it must be hard to guess."""
        key = str(self(var))
        if is_strict and (reason := why_weak(key)):
            raise ImproperlyConfigured(f"{var} {reason}. {_KEY_HINT}")
        return key

    def keys(self, var: str, *, default: list[str], is_strict: builtins.bool) -> list[str]:
        """Read such keys, separated by commas."""
        found: list[str] = self.list(var, default=default)
        for reason in filter(None, map(why_weak, found if is_strict else ())):
            raise ImproperlyConfigured(f"A key of {var} {reason}. {_KEY_HINT}")
        return found

    def _number(self, var: str, cast: Callable[[str], Any], hint: str, default: Any) -> Any:
        is_empty = not str(self.ENVIRON.get(var, "")).strip()
        return (
            default
            if is_empty and default is not self.NOTSET
            else self._read(var, cast, hint, default)
        )

    def _read(self, var: str, cast: Callable[[str], Any], hint: str, default: Any) -> Any:
        try:
            return self.get_value(var, cast=cast, default=default)
        except ValueError:
            raise ImproperlyConfigured(
                f"{var}={self.ENVIRON.get(var)} cannot be read. {hint}"
            ) from None


def why_weak(key: str) -> str:
    """Say why a key to sign with may be guessed; empty if it is hard to guess, as far as one can see."""
    if len(key) < KEY_LENGTH:
        return f"has {len(key)} characters, fewer than {KEY_LENGTH}"
    period = (key + key).index(key, 1)
    if len(set(key)) < KEY_CHARACTERS or period < KEY_LENGTH // 2:
        return "repeats itself"
    if word := next((word for word in _NO_SECRETS if word in key.lower()), ""):
        return f"holds the word {word!r}, as examples do"
    return ""


def _switch(value: str) -> bool:
    word = value.strip().lower()
    if word not in (*_ON, *_OFF):
        raise ValueError(word)
    return word in _ON


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number
