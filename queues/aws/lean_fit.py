"""Decide by itself whether a lean client can take the place of boto3's: it can if both would send the same.

The SDK is told how to call in many ways: the environment, its config file, a ``Config``, and with each release more. So
boto3's own client prepares a call, which is stopped before anything is signed or sent; what it did is the measure.
``docs/reference/rights-on-aws.md`` lists what came of it.

Source: botocore's ``args.py``, ``configprovider.py``, ``signers.py`` (event ``before-sign``).
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError
from django.conf import settings

from queues.aws.lean_requests import Endpoint

logger = logging.getLogger(__name__)

# What boto3 adds to a call of SQS or SES before it signs it. The lean clients send the same, or AWS does without.
_HEADERS = {"content-type", "user-agent", "x-amz-target", "x-amzn-query-mode", "x-amzn-trace-id"}
# What Sentry adds to calls of boto3, for services of one's own that read it.
_OF_SENTRY = {"baggage", "sentry-trace"}


class _Unfit(Exception):
    """Only boto3's own client can make these calls; the text says why."""


class _Rehearsal(Exception):
    """Ends a call of boto3's client right before it would be signed, with what is known of it by then."""

    def __init__(self, event: dict[str, Any]) -> None:
        super().__init__("a rehearsal, no call")
        # The end of the call changes the context.
        self.event = event | {"context": dict(event["request"].context)}


def endpoint(client: Any, method: str, *, tries: int, **parameters: Any) -> Endpoint | None:
    """Return where and how a lean client makes the client's calls; None if only boto3's own can, and logs why.

    ``method`` and ``parameters`` are an example of such a call; a lean client makes it ``tries`` times at most. No
    other thread may have the client yet. Nothing is sent, and nobody is asked for credentials.
    """
    try:
        _require_direct(client, tries)
        return _signed_as_ours(client, _rehearsed(client, method, parameters))
    except _Unfit as exc:
        say_once(str(client.meta.service_model.service_id), str(exc))
        return None


@cache
def say_once(service: str, why: str) -> None:
    """Log why boto3 calls the service, once in each process however often clients are made anew."""
    logger.warning("boto3's client is used, not the lean one service=%s why=%s", service, why)


def _require_direct(client: Any, tries: int) -> None:
    """Raise _Unfit if boto3's client connects or repeats in a way that a lean client does not."""
    config, http = client.meta.config, client._endpoint.http_session
    if http._proxy_config.proxy_url_for(client.meta.endpoint_url):
        raise _Unfit("a proxy is set")
    if http._cert_file:
        raise _Unfit("a client certificate is set")
    if config.retries.get("mode") == "adaptive":
        raise _Unfit("the retry mode is adaptive")
    if config.retries.get("total_max_attempts", tries + 1) > tries:
        raise _Unfit("it is set to repeat calls")


def _rehearsed(client: Any, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    def end(**event: Any) -> None:
        raise _Rehearsal(event)

    client.meta.events.register_last("before-sign", end)
    try:
        getattr(client, method)(**parameters)
    except _Rehearsal as rehearsal:
        return rehearsal.event
    except (BotoCoreError, ValueError) as exc:
        # Its own error, when it is called, is the best that there is.
        raise _Unfit(f"it cannot prepare a call ({type(exc).__name__})") from exc
    finally:
        client.meta.events.unregister("before-sign", end)
    raise _Unfit("something else than AWS answers it")


def _signed_as_ours(client: Any, event: dict[str, Any]) -> Endpoint:
    request, context, version = event["request"], event["context"], event["signature_version"]
    if version is UNSIGNED:
        raise _Unfit("its calls are not signed")
    if version != "v4":
        raise _Unfit(f"its signature version is {version}")
    if "current_api_call_event" in context:
        raise _Unfit("client-side monitoring is on")
    headers = {name.lower(): value for name, value in request.headers.items()}
    if strange := sorted(headers.keys() - _HEADERS - _OF_SENTRY):
        raise _Unfit(f"it sends {', '.join(strange)}")
    signing = context.get("signing", {})
    http = client._endpoint.http_session
    return Endpoint(
        url=request.url,
        region=signing.get("region") or event["region_name"],
        signing_name=signing.get("signing_name") or event["signing_name"],
        credentials=event["request_signer"]._credentials,
        user_agent=headers["user-agent"],
        is_traced=settings.IN_LAMBDA,
        config=client.meta.config,
        ca_bundle=http._verify,
        socket_options=http._socket_options,
    )
