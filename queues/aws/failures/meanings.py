"""The words for what an error of AWS or of its SDK says, whichever table names it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Meaning(StrEnum):
    """What an error says, named for what to do about it."""

    # AWS does not take our credentials, or there are none: read them anew.
    CREDENTIALS = "credentials"
    # The request was signed at another time than AWS's.
    CLOCK = "clock"
    # The AWS account has not got the service.
    SUBSCRIPTION = "subscription"
    # A right is missing.
    DENIED = "denied"
    # A queue, topic, configuration set or key does not exist.
    MISSING = "missing"
    # Our settings, or those of what we named, are wrong.
    SETUP = "setup"
    # The endpoint has not got the operation.
    LACKING = "lacking"
    # SES sends nothing more today.
    QUOTA = "quota"
    # SES sends nothing for the account, or for the configuration set.
    STOPPED = "stopped"
    # We ask too often.
    THROTTLED = "throttled"
    # This message, or this call, will never be taken as it is.
    MESSAGE = "message"
    # It exists already.
    EXISTS = "exists"
    # Nobody took the request: it may be made again.
    UNREACHED = "unreached"
    # Nobody knows whether the request was taken.
    UNKNOWN = "unknown"
    # It may heal by itself.
    MOMENT = "moment"


class Row(NamedTuple):
    """The meaning of one code, and where it is written."""

    meaning: Meaning
    source: str
