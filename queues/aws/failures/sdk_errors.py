"""Know what each error that the SDK raises by itself means to us: one row for each class of ``botocore.exceptions``.

The source of a row is the part of botocore that raises the error. ``UNREACHED`` and ``UNKNOWN`` hold for the request
itself; the same errors also come from the servers that give out credentials, and then nothing has left for AWS: see
``departures``.
"""

from __future__ import annotations

from queues.aws.failures.meanings import Meaning, Row

CREDENTIALS = "botocore/credentials.py"
TOKENS = "botocore/tokens.py"
SESSION = "botocore/session.py, botocore/configloader.py"
CLIENT = "botocore/client.py, botocore/args.py, botocore/config.py"
ENDPOINTS = "botocore/regions.py, botocore/endpoint_provider.py"
SIGNERS = "botocore/signers.py"
VALIDATION = "botocore/validate.py"
HTTP = "botocore/httpsession.py"
ANSWERS = "botocore/response.py, botocore/httpchecksum.py"
DATA = "botocore/loaders.py, botocore/model.py"
# Raised for other services, for pages, waiters and stubs: by no call of ours that sends.
ELSEWHERE = "botocore/handlers.py, botocore/paginate.py, botocore/waiter.py, botocore/stub.py"

M = Meaning
ROWS = {
    # No credentials: nothing can be signed.
    "ConfigNotFound": Row(M.CREDENTIALS, SESSION),
    "ConfigParseError": Row(M.CREDENTIALS, SESSION),
    "CredentialRetrievalError": Row(M.CREDENTIALS, CREDENTIALS),
    "InfiniteLoopConfigError": Row(M.CREDENTIALS, CREDENTIALS),
    "InvalidConfigError": Row(M.CREDENTIALS, CREDENTIALS),
    "InvalidIMDSEndpointError": Row(M.CREDENTIALS, CREDENTIALS),
    "InvalidIMDSEndpointModeError": Row(M.CREDENTIALS, CREDENTIALS),
    "LoginAuthorizationCodeError": Row(M.CREDENTIALS, CREDENTIALS),
    "LoginError": Row(M.CREDENTIALS, CREDENTIALS),
    "LoginInsufficientPermissions": Row(M.CREDENTIALS, CREDENTIALS),
    "LoginRefreshRequired": Row(M.CREDENTIALS, CREDENTIALS),
    "LoginTokenLoadError": Row(M.CREDENTIALS, CREDENTIALS),
    "MetadataRetrievalError": Row(M.CREDENTIALS, CREDENTIALS),
    "NoAuthTokenError": Row(M.CREDENTIALS, SIGNERS),
    "NoCredentialsError": Row(M.CREDENTIALS, SIGNERS),
    "PartialCredentialsError": Row(M.CREDENTIALS, CREDENTIALS),
    "ProfileNotFound": Row(M.CREDENTIALS, SESSION),
    "RefreshWithMFAUnsupportedError": Row(M.CREDENTIALS, CREDENTIALS),
    "SSOError": Row(M.CREDENTIALS, CREDENTIALS),
    "SSOTokenLoadError": Row(M.CREDENTIALS, TOKENS),
    "TokenRetrievalError": Row(M.CREDENTIALS, TOKENS),
    "UnauthorizedSSOTokenError": Row(M.CREDENTIALS, CREDENTIALS),
    "UnknownCredentialError": Row(M.CREDENTIALS, CREDENTIALS),
    "UnknownTokenProviderError": Row(M.CREDENTIALS, TOKENS),
    # No client, or no address to send to: settings, or the SDK itself.
    "ApiVersionNotFoundError": Row(M.SETUP, DATA),
    "BaseEndpointResolverError": Row(M.SETUP, ENDPOINTS),
    "DataNotFoundError": Row(M.SETUP, DATA),
    "EndpointProviderError": Row(M.SETUP, ENDPOINTS),
    "EndpointResolutionError": Row(M.SETUP, ENDPOINTS),
    "EndpointVariantError": Row(M.SETUP, ENDPOINTS),
    "InvalidChecksumConfigError": Row(M.SETUP, CLIENT),
    "InvalidDefaultsMode": Row(M.SETUP, CLIENT),
    "InvalidEndpointConfigurationError": Row(M.SETUP, ENDPOINTS),
    "InvalidEndpointDiscoveryConfigurationError": Row(M.SETUP, CLIENT),
    "InvalidHostLabelError": Row(M.SETUP, ENDPOINTS),
    "InvalidMaxRetryAttemptsError": Row(M.SETUP, CLIENT),
    "InvalidProxiesConfigError": Row(M.SETUP, HTTP),
    "InvalidRegionError": Row(M.SETUP, CLIENT),
    "InvalidRetryConfigurationError": Row(M.SETUP, CLIENT),
    "InvalidRetryModeError": Row(M.SETUP, CLIENT),
    "InvalidS3AddressingStyleError": Row(M.SETUP, CLIENT),
    "InvalidS3UsEast1RegionalEndpointConfigError": Row(M.SETUP, CLIENT),
    "InvalidSTSRegionalEndpointsConfigError": Row(M.SETUP, CLIENT),
    "MD5UnavailableError": Row(M.SETUP, SIGNERS),
    "MissingDependencyException": Row(M.SETUP, SIGNERS),
    "MissingServiceIdError": Row(M.SETUP, DATA),
    "NoRegionError": Row(M.SETUP, ENDPOINTS),
    "NoVersionFound": Row(M.SETUP, DATA),
    "ResourceNotExistsError": Row(M.SETUP, DATA),
    "ServiceNotInRegionError": Row(M.SETUP, ENDPOINTS),
    "UndefinedModelAttributeError": Row(M.SETUP, DATA),
    "UnknownAPIVersionError": Row(M.SETUP, DATA),
    "UnknownEndpointError": Row(M.SETUP, ENDPOINTS),
    "UnknownEndpointResolutionBuiltInName": Row(M.SETUP, ENDPOINTS),
    "UnknownFIPSEndpointError": Row(M.SETUP, ENDPOINTS),
    "UnknownRegionError": Row(M.SETUP, ENDPOINTS),
    "UnknownServiceError": Row(M.SETUP, DATA),
    "UnknownServiceStyle": Row(M.SETUP, DATA),
    "UnknownSignatureVersionError": Row(M.SETUP, SIGNERS),
    "UnsupportedServiceProtocolsError": Row(M.SETUP, DATA),
    "UnsupportedSignatureVersionError": Row(M.SETUP, SIGNERS),
    # This call can never be made.
    "AliasConflictParameterError": Row(M.MESSAGE, VALIDATION),
    "MissingParametersError": Row(M.MESSAGE, VALIDATION),
    "ParamValidationError": Row(M.MESSAGE, VALIDATION),
    "RangeError": Row(M.MESSAGE, VALIDATION),
    "UnknownKeyError": Row(M.MESSAGE, VALIDATION),
    "UnknownParameterError": Row(M.MESSAGE, VALIDATION),
    "ValidationError": Row(M.MESSAGE, VALIDATION),
    # No byte of the request has left.
    "ConnectTimeoutError": Row(M.UNREACHED, HTTP),
    "EndpointConnectionError": Row(M.UNREACHED, HTTP),
    "ProxyConnectionError": Row(M.UNREACHED, HTTP),
    # The request may have arrived. TLS may break at any time, so its error alone does not tell.
    "AwsChunkedWrapperError": Row(M.UNKNOWN, ANSWERS),
    "ChecksumError": Row(M.UNKNOWN, ANSWERS),
    "ConnectionClosedError": Row(M.UNKNOWN, HTTP),
    "ConnectionError": Row(M.UNKNOWN, HTTP),
    "EventStreamError": Row(M.UNKNOWN, ANSWERS),
    "FlexibleChecksumError": Row(M.UNKNOWN, ANSWERS),
    "HTTPClientError": Row(M.UNKNOWN, HTTP),
    "IncompleteReadError": Row(M.UNKNOWN, ANSWERS),
    "ReadTimeoutError": Row(M.UNKNOWN, HTTP),
    "ResponseStreamingError": Row(M.UNKNOWN, ANSWERS),
    "SSLError": Row(M.UNKNOWN, HTTP),
    # What says nothing by itself: where it was raised decides.
    "Boto3Error": Row(M.MOMENT, ELSEWHERE),
    "BotoCoreError": Row(M.MOMENT, ELSEWHERE),
    "CapacityNotAvailableError": Row(M.MOMENT, ELSEWHERE),
    "ClientError": Row(M.MOMENT, HTTP),
    "DynamoDBNeedsConditionError": Row(M.MOMENT, ELSEWHERE),
    "DynamoDBNeedsKeyConditionError": Row(M.MOMENT, ELSEWHERE),
    "DynamoDBOperationNotSupportedError": Row(M.MOMENT, ELSEWHERE),
    # The SDK has it under both spellings.
    "DynanmoDBOperationNotSupportedError": Row(M.MOMENT, ELSEWHERE),
    "InvalidCrtTransferConfigError": Row(M.MOMENT, ELSEWHERE),
    "InvalidDNSNameError": Row(M.MOMENT, ELSEWHERE),
    "InvalidExpressionError": Row(M.MOMENT, ELSEWHERE),
    "OperationNotPageableError": Row(M.MOMENT, ELSEWHERE),
    "PaginationError": Row(M.MOMENT, ELSEWHERE),
    "ResourceLoadException": Row(M.MOMENT, ELSEWHERE),
    "RetriesExceededError": Row(M.MOMENT, ELSEWHERE),
    "S3TransferFailedError": Row(M.MOMENT, ELSEWHERE),
    "S3UploadFailedError": Row(M.MOMENT, ELSEWHERE),
    "StubAssertionError": Row(M.MOMENT, ELSEWHERE),
    "StubResponseError": Row(M.MOMENT, ELSEWHERE),
    "UnStubbedResponseError": Row(M.MOMENT, ELSEWHERE),
    "UnknownClientMethodError": Row(M.MOMENT, ELSEWHERE),
    "UnseekableStreamError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedOutpostResourceError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedS3AccesspointConfigurationError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedS3ArnError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedS3ConfigurationError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedS3ControlArnError": Row(M.MOMENT, ELSEWHERE),
    "UnsupportedS3ControlConfigurationError": Row(M.MOMENT, ELSEWHERE),
    "WaiterConfigError": Row(M.MOMENT, ELSEWHERE),
    "WaiterError": Row(M.MOMENT, ELSEWHERE),
}


def meaning(exc: BaseException) -> Meaning:
    """Return what an error says by its class, or by the nearest class above that has a row."""
    rows = (ROWS[each.__name__] for each in type(exc).__mro__ if each.__name__ in ROWS)
    found = next(rows, None)
    return found.meaning if found else Meaning.MOMENT
