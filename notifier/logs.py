"""Log lines without addresses: what is logged is read by more people than may read a customer's data."""

from __future__ import annotations

import logging
import re

_ADDRESS = re.compile(
    r"([\w.!#$%&'*+/?^`{|}~-])[\w.!#$%&'*+/?^`{|}~-]*@\[?([\w-])[\w-]*((?:\.[\w-]+)*)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class MaskingFormatter(logging.Formatter):
    """``ada@example.com`` becomes ``a***@e***.com``, in messages and tracebacks alike.

    A message stays on its line, whatever somebody wrote into what it tells of; only tracebacks have more.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line as the formatter's style makes it, masked."""
        return mask(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its traceback."""
        line = super().formatMessage(record)
        # Most lines have neither controls nor addresses, and to look for them costs more than all else of a line.
        if line.isprintable():
            return line
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)


def mask(text: str) -> str:
    """Hide every email address but its first letters and its ending."""
    return _ADDRESS.sub(r"\1***@\2***\3", text) if "@" in text else text
