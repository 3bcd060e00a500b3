"""What became of a call to SES, named for what the caller should do.

SendError
├── NotSent         certainly not accepted: may be tried again
│   ├── Throttled       too fast: slow down and try again; the message is not to blame
│   └── Unavailable     nothing can be sent now: wait until it heals; the message is not to blame
├── Refused         SES will never accept this message as it is
└── InDoubt         may have been accepted: do not try again on a guess
Unwritable          no email can be made of these headers; SES was not called
RenderError         the template and its data do not fit; SES was not called
IdentityError       SES did not do what was asked of an identity; says why
ListUnavailable     SES's suppression list cannot be read or told now; says why
├── ListBusy            too often: go on later where it stopped
└── ListForbidden       a right or the operation is missing: go on without
NotListable         SES refuses this address for its list: do not ask again
└── NoSuchIdentity      SES has not got it
Untrusted           a message to the webhook that SNS did not sign for us: refuse it
CertificateUnavailable  it cannot be told now whether SNS signed it: SNS is to try again
"""

from __future__ import annotations


class SendError(Exception):
    """The base. ``code`` is SES's own error code, or the class of the error below it."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__


class NotSent(SendError):
    """Certainly not accepted, and the cause may heal: an unverified recipient, a refused connection."""


class Throttled(NotSent):
    """SES's sending rate was exceeded."""


class Unavailable(NotSent):
    """The quota, the account, our sender, the configuration set or our credentials are not in order.

    ``breaker`` names which, for ``emails.sending.breakers``.
    """

    def __init__(self, reason: str, *, code: str = "", breaker: str) -> None:
        super().__init__(reason, code=code)
        self.breaker = breaker


class Refused(SendError):
    """Certainly not accepted, and waiting changes nothing: a bad parameter, a rejected message."""


class InDoubt(SendError):
    """The answer was lost or makes no sense: SES may have accepted the email."""


class Unwritable(ValueError):
    """A header with a line break, say. Of Django's own BadHeaderError later versions make any ValueError."""


class RenderError(Exception):
    """A template is missing or broken, or a variable it needs is not in the data; names both."""


class IdentityError(Exception):
    """SES refused, or the endpoint cannot do it; the text is for the person who asked."""


class ListUnavailable(Exception):
    """SES is away, or would not; the text is for staff."""


class ListBusy(ListUnavailable):
    """SES takes about one call a second."""


class ListForbidden(ListUnavailable):
    """Asking again changes nothing before somebody gives the right."""


class NotListable(Exception):
    """SES takes no such address; the text is for staff."""


class NoSuchIdentity(IdentityError):
    """An identity, or a configuration set, that SES does not know."""


class Untrusted(Exception):
    """Not from SNS, not for us, or not of now; the text is for the log."""


class CertificateUnavailable(Exception):
    """SNS's certificate was not to be had."""
