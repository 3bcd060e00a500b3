"""Log lines without addresses: what is logged is read by more people than may read a customer's data."""

from __future__ import annotations

import logging
import re

from queues import masking

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class MaskingFormatter(logging.Formatter):
    """``ada@example.com`` becomes ``a***@e***.com``, in messages and tracebacks alike.

    A message stays on its line, whatever somebody wrote into what it tells of; only tracebacks have more.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line as the formatter's style makes it, masked."""
        return masking.addresses(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its traceback."""
        line = super().formatMessage(record)
        # Most lines have neither controls nor addresses, and to look for them costs more than all else of a line.
        if line.isprintable():
            return line
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)
