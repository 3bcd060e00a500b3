"""Send unexpected errors to Sentry; imported only if ``SENTRY_DSN`` is set.

Errors are sent without local variables, request bodies, cookies and users. The rest is masked as in the log.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from queues import masking

try:
    import sentry_sdk
except ImportError as exc:
    raise ImproperlyConfigured(
        "SENTRY_DSN is set, but sentry-sdk is not installed. Run: pip install sentry-sdk"
    ) from exc


def start(**options: Any) -> None:
    """Start Sentry in this process, once; ``options`` are Sentry's own, for tests."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=settings.RELEASE or None,
        include_local_variables=False,
        max_request_body_size="never",
        # Sentry sends what is logged as an error; warnings are part of normal operation and become breadcrumbs only.
        before_send=_masked,
        before_breadcrumb=_masked,
        **options,
    )


def _masked(event: Any, hint: Any) -> Any:
    event.pop("user", None)
    for name in ("cookies", "data", "query_string"):
        event.get("request", {}).pop(name, None)
    return _without_addresses(event)


def _without_addresses(value: Any) -> Any:
    if isinstance(value, str):
        return masking.addresses(value)
    if isinstance(value, dict):
        return {key: _without_addresses(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_addresses(item) for item in value]
    return value
