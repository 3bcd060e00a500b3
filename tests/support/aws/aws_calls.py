"""Find the AWS calls that our code makes, as IAM names them: recorded from botocore, and read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import botocore
import botocore.session
from botocore import xform_name
from django.conf import settings
from moto.core import DEFAULT_ACCOUNT_ID

from emails.ses import ses_api
from notifier.alerts import sns
from queues.aws import clients, sqs
from queues.doctor.roundtrip import MARK

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("sqs", "sns", "ses", "sesv2")
# IAM knows no batches.
_BATCHES = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "PublishBatch": "Publish",
}
# What moto has not got, and what it would answer.
_LACKING_IN_MOTO: dict[str, dict[str, Any]] = {
    "ses.GetAccountSendingEnabled": {"Enabled": True},
    "sesv2.GetAccount": {"ProductionAccessEnabled": False},
    "sesv2.GetConfigurationSetEventDestinations": {"EventDestinations": []},
    "sesv2.UpdateConfigurationSetEventDestination": {},
    "sesv2.ListSuppressedDestinations": {"SuppressedDestinationSummaries": []},
    "sesv2.GetSuppressedDestination": {
        "SuppressedDestination": {
            "EmailAddress": "ada@example.org",
            "Reason": "BOUNCE",
            "LastUpdateTime": datetime(2026, 11, 22, tzinfo=UTC),
        }
    },
    "sesv2.PutSuppressedDestination": {},
    "sesv2.DeleteSuppressedDestination": {},
}
_OF_A_SET = {
    "ses:GetConfigurationSetEventDestinations",
    "ses:UpdateConfigurationSetEventDestination",
}
_SENDS = {"ses:SendEmail", "ses:SendRawEmail"}


class Call(NamedTuple):
    """``resource`` is an ARN, or ``*`` where IAM knows none for the action."""

    action: str
    resource: str


class Calls:
    """The calls made, and the operations by their names in the API: ``sqs.SendMessageBatch``."""

    def __init__(self) -> None:
        self.made: set[Call] = set()
        self.operations: set[str] = set()
        self._is_paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around what another role does; what it learned is forgotten."""
        self._is_paused = True
        yield
        self._is_paused = False
        # Each process asks for a queue's URL once.
        sqs._queue.cache_clear()

    def note(self, params: Mapping[str, Any], model: Any, **kwargs: Any) -> None:
        """Note a call before it is sent, whether AWS takes it or not."""
        if self._is_paused:
            return
        service = model.service_model.service_name
        self.operations.add(f"{service}.{model.name}")
        prefix = "ses" if service == "sesv2" else service
        action = f"{prefix}:{_BATCHES.get(model.name, model.name)}"
        self.made |= {Call(action, resource) for resource in _resources(action, params)}


@contextmanager
def recorded() -> Iterator[Calls]:
    """Record the calls of all clients that are made meanwhile."""
    calls = Calls()

    def watch(session: Any) -> None:
        for service in SERVICES:
            session.register(f"provide-client-params.{service}", calls.note)
        for operation in _LACKING_IN_MOTO:
            session.register(f"before-call.{operation}", _answer)

    botocore.register_initializer(watch)
    _forget_clients()
    try:
        yield calls
    finally:
        botocore.unregister_initializer(watch)
        _forget_clients()


@contextmanager
def answers(operation: str, answer: dict[str, Any]) -> Iterator[None]:
    """Answer an operation that moto lacks with this meanwhile."""
    with patch.dict(_LACKING_IN_MOTO, {operation: answer}):
        yield


def in_sources() -> dict[str, set[str]]:
    """Return each file that knows botocore, with the operations whose methods it names."""
    folders = [ROOT / app for app in ("queues", "emails", "orders", "notifier")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    return {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := _named(ast.parse(path.read_text())))
    }


def _named(tree: ast.Module) -> set[str]:
    """Return the client methods that a module names; a paginator is asked for by the method's name."""
    if not any(_is_border(node) for node in ast.walk(tree)):
        return set()
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_paginator"
        and isinstance(node.args[0], ast.Constant)
    }
    return names & _methods().keys()


def _is_border(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in ("boto3", "botocore")
    return isinstance(node, ast.Import) and node.names[0].name in ("boto3", "botocore")


@cache
def _methods() -> dict[str, set[str]]:
    """Return each method with the operations that it may stand for."""
    session = botocore.session.Session()
    methods: dict[str, set[str]] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            methods.setdefault(xform_name(operation), set()).add(f"{service}.{operation}")
    return methods


def operations_of(method: str) -> set[str]:
    """The operations that a client's method may stand for."""
    return _methods()[method]


def _forget_clients() -> None:
    clients.forget_clients()
    ses_api.forget_clients()
    sns._client.cache_clear()


def _answer(model: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    operation = f"{model.service_model.service_name}.{model.name}"
    return SimpleNamespace(status_code=200), _LACKING_IN_MOTO[operation]


def _resources(action: str, params: Mapping[str, Any]) -> list[str]:
    if action in _SENDS:
        domain = parseaddr(settings.SES_FROM_EMAIL)[1].partition("@")[2]
        named = settings.SES_CONFIGURATION_SET
        return [_arn("ses", f"identity/{domain}"), _arn("ses", f"configuration-set/{named}")]
    if queue := params.get("QueueName") or params.get("QueueUrl"):
        name, mark, _ = queue.rsplit("/", 1)[-1].partition(MARK)
        return [_arn("sqs", f"{name}{mark}*" if mark else name)]
    if action.startswith("sns:"):
        subscription = params.get("SubscriptionArn", "").rpartition(":")[0]
        return [params.get("TopicArn") or subscription or _arn("sns", params["Name"])]
    if "EmailIdentity" in params:
        return [_arn("ses", "identity/*")]
    if action in _OF_A_SET:
        return [_arn("ses", f"configuration-set/{params['ConfigurationSetName']}")]
    return ["*"]


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{settings.AWS_REGION}:{DEFAULT_ACCOUNT_ID}:{name}"
