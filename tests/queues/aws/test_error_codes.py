"""Every error that AWS's own models and the SDK know has a row that somebody chose; a new one fails here first."""

import inspect
from typing import Any

import boto3.exceptions
import botocore.exceptions
import botocore.session
import pytest
from botocore.exceptions import ClientError, SSOError
from botocore.parsers import ResponseParserError

from emails.ses import error_codes as ses
from queues.aws import clients
from queues.aws.clients import translated
from queues.aws.failures import error_codes, sdk_errors
from queues.aws.failures.meanings import Meaning
from queues.errors import QueueMissing, QueueUnavailable
from tests.support.aws.aws_calls import in_sources, operations_of

# What AWS answers to any call, whatever the service: "Common errors" of the API references, and SigV4's own.
COMMON = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalFailure",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "SubscriptionRequiredException",
    "Throttling",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationError",
}


def sdk_classes():
    return sorted(
        name
        for module in (botocore.exceptions, boto3.exceptions)
        for name, found in vars(module).items()
        if inspect.isclass(found)
        and issubclass(found, Exception)
        and not issubclass(found, Warning)
        and found.__module__ in ("botocore.exceptions", "boto3.exceptions")
    )


def answers():
    """Return each code that the models name for an operation that we call, with its service."""
    session = botocore.session.Session()
    called = {
        name
        for methods in in_sources().values()
        for method in methods
        for name in operations_of(method)
    }
    found = set()
    for service, _, operation in (name.partition(".") for name in called):
        model = session.get_service_model(service).operation_model(operation)
        for shape in model.error_shapes:
            code = shape.metadata.get("error", {}).get("code") or shape.name
            found.add((service, code.removeprefix("AWS.SimpleQueueService.")))
    return sorted(found)


def test_every_class_of_the_sdk_has_a_row():
    assert [name for name in sdk_classes() if name not in sdk_errors.ROWS] == []


def test_no_row_is_of_a_class_that_the_sdk_has_not_got():
    assert sdk_errors.ROWS.keys() - set(sdk_classes()) == set()


def test_class_without_a_row_means_what_its_base_means():
    class TokenOfTomorrowError(SSOError):
        pass

    assert sdk_errors.meaning(TokenOfTomorrowError()) is Meaning.CREDENTIALS


def test_every_code_of_the_models_has_a_row():
    known = {"ses": ses.CODES, "sesv2": ses.CODES}

    missing = [
        (service, code)
        for service, code in answers()
        if code not in error_codes.CODES and code not in known.get(service, {})
    ]

    assert missing == []


def test_every_common_code_has_a_row():
    assert COMMON - error_codes.CODES.keys() == set()


def test_unknown_code_is_a_failure_of_the_moment():
    assert error_codes.meaning("OfTomorrow") is Meaning.MOMENT
    assert ses.meaning("OfTomorrow") is Meaning.MOMENT


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "LoginRefreshRequired",
        "MissingAuthenticationTokenException",
        "NoCredentialsError",
        "RequestExpired",
        "SSOTokenLoadError",
        "SignatureDoesNotMatch",
        "UnauthorizedSSOTokenError",
        "UnrecognizedClientException",
    ],
)
def test_credentials_that_aws_does_not_take_are_read_anew(code):
    before = clients.session()

    with pytest.raises(QueueUnavailable), translated("orders", kind="queue"):
        raise _error(code)

    assert error_codes.is_about_credentials(code)
    assert clients.session() is not before


@pytest.mark.parametrize(
    "exc",
    [
        RuntimeError(
            "Credentials were refreshed, but the refreshed credentials are still expired."
        ),
        PermissionError("credentials"),
        ResponseParserError("<html>"),
        KeyError("Credentials"),
        RecursionError(),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_whatever_a_call_raises_is_an_outage(exc):
    with pytest.raises(QueueUnavailable), translated("orders", kind="queue"):
        raise exc


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (501, "InternalFailure", "NotImplemented"),
        (501, "501", "NotImplemented"),
        (500, "InternalFailure", "InternalFailure"),
        (400, "InvalidAction", "InvalidAction"),
    ],
)
def test_status_says_that_an_endpoint_lacks_the_operation(status, code, expected):
    found, _ = clients.described(_error(code, status=status))

    assert found == expected
    assert error_codes.is_lacking(found) == (expected != "InternalFailure")


def test_missing_thing_is_told_apart():
    with pytest.raises(QueueMissing), translated("orders", kind="queue"):
        raise _error("AWS.SimpleQueueService.NonExistentQueue")


def _error(code, *, status=400):
    if found := getattr(botocore.exceptions, code, None):
        return found(error_msg="no") if "error_msg" in found.fmt else found()
    answer: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "SendMessage")
