"""Errors of the local AWS, and of its pages when they find something else in its place.

SandboxError
├── Refused             SES does not accept the mail; ``code`` is AWS's own
│   ├── MessageRejected     a sender or recipient is not verified
│   ├── InvalidMail         the mail itself is wrong: too large, no recipient, a bad address
│   └── UnknownConfigurationSet     it names a configuration set that does not exist
├── NotRunning          nothing answers at ``AWS_ENDPOINT_URL``; start the local AWS
├── NoMailbox           another AWS answers there, which has no mailbox to show
└── NotFound            the local AWS has no such mail or identity
"""

from __future__ import annotations


class SandboxError(Exception):
    """The base of all errors of this app."""


class Refused(SandboxError):
    """SES answers 400 with this code and this text."""

    code = "InvalidParameterValue"


class MessageRejected(Refused):
    """An identity is not verified; verify it, or switch the sandbox's rules off."""

    code = "MessageRejected"


class InvalidMail(Refused):
    """The mail can never be sent as it is."""


class UnknownConfigurationSet(Refused):
    """Create the configuration set first."""

    code = "ConfigurationSetDoesNotExist"


class NotRunning(SandboxError):
    """No connection, or no answer in time."""


class NoMailbox(SandboxError):
    """The endpoint is not our local AWS."""


class NotFound(SandboxError):
    """The mail was deleted, has dropped out of the mailbox, or never was there."""
