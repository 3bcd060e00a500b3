"""Know what each error code of AWS means to us: one row for each code, with its source.

A code without a row is a failure of the moment: the call may be repeated. ``sdk_errors`` has rows for the errors that
the SDK raises by itself; the rows of SES are in ``emails.ses.error_codes``.
"""

from __future__ import annotations

from queues.aws.failures import sdk_errors
from queues.aws.failures.meanings import Meaning, Row

# "Common errors" of the API references of SQS, SNS and SES.
COMMON = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html"
SES_COMMON = "https://docs.aws.amazon.com/ses/latest/APIReference/CommonErrors.html"
IAM_COMMON = "https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"
SIGNING = "https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html"
# The models of these services in botocore: what each operation may answer.
SQS = "botocore/data/sqs/2012-11-05"
SNS = "botocore/data/sns/2010-03-31"
# What botocore retries as throttling, and what it makes of answers without a code.
RETRIES = "botocore/retries/standard.py"
STATUS = "RFC 9110, 15.5 and 15.6"
# Seen at services that speak JSON, with the ending of their exceptions.
JSON = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"
OTHER = "answered by emulators, and by services beside those that we call"


M = Meaning
CODES = {
    # Who asks, and when.
    "ExpiredToken": Row(M.CREDENTIALS, SIGNING),
    "ExpiredTokenException": Row(M.CREDENTIALS, IAM_COMMON),
    "IncompleteSignature": Row(M.CREDENTIALS, COMMON),
    "IncompleteSignatureException": Row(M.CREDENTIALS, JSON),
    "InvalidAccessKeyId": Row(M.CREDENTIALS, OTHER),
    "InvalidClientTokenId": Row(M.CREDENTIALS, COMMON),
    "InvalidSecurity": Row(M.CREDENTIALS, SQS),
    "InvalidSignature": Row(M.CREDENTIALS, OTHER),
    "InvalidSignatureException": Row(M.CREDENTIALS, SIGNING),
    "InvalidToken": Row(M.CREDENTIALS, OTHER),
    "MalformedSecurityToken": Row(M.CREDENTIALS, OTHER),
    "MissingAuthenticationToken": Row(M.CREDENTIALS, COMMON),
    "MissingAuthenticationTokenException": Row(M.CREDENTIALS, JSON),
    "SignatureDoesNotMatch": Row(M.CREDENTIALS, SIGNING),
    "TokenRefreshRequired": Row(M.CREDENTIALS, OTHER),
    "UnrecognizedClient": Row(M.CREDENTIALS, OTHER),
    "UnrecognizedClientException": Row(M.CREDENTIALS, JSON),
    "RequestExpired": Row(M.CLOCK, COMMON),
    "RequestExpiredException": Row(M.CLOCK, OTHER),
    "RequestInTheFuture": Row(M.CLOCK, OTHER),
    "RequestTimeTooSkewed": Row(M.CLOCK, OTHER),
    "OptInRequired": Row(M.SUBSCRIPTION, COMMON),
    "SubscriptionRequiredException": Row(M.SUBSCRIPTION, OTHER),
    "KmsOptInRequired": Row(M.SUBSCRIPTION, SQS),
    "KMSOptInRequired": Row(M.SUBSCRIPTION, SNS),
    "AccessDenied": Row(M.DENIED, SIGNING),
    "AccessDeniedException": Row(M.DENIED, COMMON),
    "AuthorizationError": Row(M.DENIED, SNS),
    "AuthorizationErrorException": Row(M.DENIED, SNS),
    "NotAuthorized": Row(M.DENIED, SES_COMMON),
    "NotAuthorizedException": Row(M.DENIED, OTHER),
    "UnauthorizedOperation": Row(M.DENIED, OTHER),
    "KmsAccessDenied": Row(M.DENIED, SQS),
    "KMSAccessDenied": Row(M.DENIED, SNS),
    # What is asked for.
    "NonExistentQueue": Row(M.MISSING, SQS),
    "QueueDoesNotExist": Row(M.MISSING, SQS),
    "NotFound": Row(M.MISSING, SNS),
    "NotFoundException": Row(M.MISSING, SNS),
    "ResourceNotFound": Row(M.MISSING, SNS),
    "ResourceNotFoundException": Row(M.MISSING, SQS),
    "KmsNotFound": Row(M.SETUP, SQS),
    "KMSNotFound": Row(M.SETUP, SNS),
    "KmsDisabled": Row(M.SETUP, SQS),
    "KMSDisabled": Row(M.SETUP, SNS),
    "KmsInvalidState": Row(M.SETUP, SQS),
    "KMSInvalidState": Row(M.SETUP, SNS),
    "KmsInvalidKeyUsage": Row(M.SETUP, SQS),
    "InvalidAddress": Row(M.SETUP, SQS),
    "InvalidAttributeName": Row(M.SETUP, SQS),
    "InvalidAttributeValue": Row(M.SETUP, SQS),
    "InvalidState": Row(M.SETUP, SNS),
    "FilterPolicyLimitExceeded": Row(M.SETUP, SNS),
    "SubscriptionLimitExceeded": Row(M.SETUP, SNS),
    "TopicLimitExceeded": Row(M.SETUP, SNS),
    "ReplayLimitExceeded": Row(M.SETUP, SNS),
    "TagLimitExceeded": Row(M.SETUP, SNS),
    "TagPolicy": Row(M.SETUP, SNS),
    "StaleTag": Row(M.SETUP, SNS),
    "EndpointDisabled": Row(M.SETUP, SNS),
    "PlatformApplicationDisabled": Row(M.SETUP, SNS),
    "QueueAlreadyExists": Row(M.EXISTS, SQS),
    "QueueNameExists": Row(M.EXISTS, SQS),
    "InvalidAction": Row(M.LACKING, COMMON),
    "NotImplemented": Row(M.LACKING, STATUS),
    "UnknownOperationException": Row(M.LACKING, JSON),
    "UnsupportedOperation": Row(M.LACKING, SQS),
    "404": Row(M.LACKING, STATUS),
    "405": Row(M.LACKING, STATUS),
    "501": Row(M.LACKING, STATUS),
    # How often.
    "KmsThrottled": Row(M.THROTTLED, SQS),
    "KMSThrottling": Row(M.THROTTLED, SNS),
    "OverLimit": Row(M.THROTTLED, SQS),
    "RequestLimitExceeded": Row(M.THROTTLED, RETRIES),
    "RequestThrottled": Row(M.THROTTLED, SQS),
    "RequestThrottledException": Row(M.THROTTLED, RETRIES),
    "SlowDown": Row(M.THROTTLED, RETRIES),
    "Throttled": Row(M.THROTTLED, SNS),
    "ThrottledException": Row(M.THROTTLED, RETRIES),
    "Throttling": Row(M.THROTTLED, SES_COMMON),
    "ThrottlingException": Row(M.THROTTLED, COMMON),
    "TooManyRequestsException": Row(M.THROTTLED, RETRIES),
    # The message itself: nobody but who wrote it can change that.
    "InvalidMessageContents": Row(M.MESSAGE, SQS),
    "InvalidParameter": Row(M.MESSAGE, SNS),
    "InvalidParameterCombination": Row(M.MESSAGE, COMMON),
    "InvalidParameterValue": Row(M.MESSAGE, COMMON),
    "MessageTooLong": Row(M.MESSAGE, SQS),
    "ParameterValueInvalid": Row(M.MESSAGE, SNS),
    "ValidationError": Row(M.MESSAGE, COMMON),
    "ValidationException": Row(M.MESSAGE, SNS),
    # A bug of ours in a call, or a failure of AWS: nothing to say about the message.
    "BatchRequestTooLong": Row(M.MOMENT, SQS),
    "BatchEntryIdsNotDistinct": Row(M.MOMENT, SQS),
    "EmptyBatchRequest": Row(M.MOMENT, SQS),
    "InvalidBatchEntryId": Row(M.MOMENT, SQS),
    "InvalidIdFormat": Row(M.MOMENT, SQS),
    "MessageNotInflight": Row(M.MOMENT, SQS),
    "ReceiptHandleIsInvalid": Row(M.MOMENT, SQS),
    "TooManyEntriesInBatchRequest": Row(M.MOMENT, SQS),
    "PurgeQueueInProgress": Row(M.MOMENT, SQS),
    "QueueDeletedRecently": Row(M.MOMENT, SQS),
    "ConcurrentAccess": Row(M.MOMENT, SNS),
    "InternalError": Row(M.MOMENT, SNS),
    "InternalFailure": Row(M.MOMENT, COMMON),
    "OptedOut": Row(M.MOMENT, SNS),
    "ServiceUnavailable": Row(M.MOMENT, COMMON),
    "UserError": Row(M.MOMENT, SNS),
    "VerificationException": Row(M.MOMENT, SNS),
}

# SQS's JSON protocol still has the names of its query protocol, with this before some of them.
_OF_QUERIES = "AWS.SimpleQueueService."


def meaning(code: str) -> Meaning:
    """Return what a code says, of AWS or the name of an SDK's error; an unknown one is a failure of the moment."""
    name = code.removeprefix(_OF_QUERIES)
    found = CODES.get(name) or sdk_errors.ROWS.get(name)
    return found.meaning if found else Meaning.MOMENT


def is_about_credentials(code: str) -> bool:
    """True if AWS does not take our credentials or their signature, or if there are none."""
    return meaning(code) in (Meaning.CREDENTIALS, Meaning.CLOCK)


def is_denied(code: str) -> bool:
    """True if AWS says that a right is missing."""
    return meaning(code) is Meaning.DENIED


def is_lacking(code: str) -> bool:
    """True if the endpoint has not got the operation: it is no AWS, or not one of this version."""
    return meaning(code) is Meaning.LACKING


def blames_the_message(code: str) -> bool:
    """True if no repetition will ever get this message, or this call, taken."""
    return meaning(code) is Meaning.MESSAGE


def is_away(code: str) -> bool:
    """True if AWS was not reached, or did not answer."""
    return meaning(code) in (Meaning.UNREACHED, Meaning.UNKNOWN)
