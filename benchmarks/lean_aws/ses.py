"""The actions of both versions of SES's API that our consumer and its peers call."""

from __future__ import annotations

import base64
import json
import re
from itertools import count
from urllib.parse import parse_qs, unquote_to_bytes

from benchmarks.lean_aws.state import Aws

# The number of the order stands in the subject.
_NUMBER = re.compile(rb"ORD-\d+")
_RAW = re.compile(rb"RawMessage\.Data=([^&]*)")
_ids = count(1)

_RESULT = (
    '<{0}Response xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><{0}Result>{1}</{0}Result>'
    "<ResponseMetadata><RequestId>request</RequestId></ResponseMetadata></{0}Response>"
)
_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
    "<RequestId>request</RequestId></ErrorResponse>"
)
_QUOTA = "<Max24HourSend>-1</Max24HourSend><MaxSendRate>{}</MaxSendRate><SentLast24Hours>0</SentLast24Hours>"
_TOO_FAST = "Maximum sending rate exceeded."


def version_1(aws: Aws, body: bytes) -> tuple[int, bytes]:
    """Status and XML."""
    if found := _RAW.search(body):
        aws.calls["ses SendRawEmail"] += 1
        if aws.is_too_fast():
            return 400, _ERROR.format("Throttling", _TOO_FAST).encode()
        _accept(aws, base64.b64decode(unquote_to_bytes(found[1])))
        return 200, _RESULT.format("SendRawEmail", f"<MessageId>{next(_ids)}</MessageId>").encode()
    action = parse_qs(body.decode()).get("Action", [""])[0]
    aws.calls[f"ses {action}"] += 1
    if action == "GetSendQuota":
        quota = _QUOTA.format(aws.allowance.rate)
        return 200, _RESULT.format(action, quota).encode()
    return 400, _ERROR.format("InvalidAction", action).encode()


def version_2(aws: Aws, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and JSON."""
    if not path.startswith("/v2/email/outbound-emails"):
        aws.calls[f"ses {path}"] += 1
        return 404, b"{}"
    aws.calls["ses SendEmail"] += 1
    if aws.is_too_fast():
        error = {"__type": "TooManyRequestsException", "message": _TOO_FAST}
        return 429, json.dumps(error).encode()
    _accept(aws, base64.b64decode(json.loads(body)["Content"]["Raw"]["Data"]))
    return 200, b'{"MessageId":"%d"}' % next(_ids)


def _accept(aws: Aws, email: bytes) -> None:
    found = _NUMBER.search(email)
    aws.count_email(found[0].decode() if found else "")
