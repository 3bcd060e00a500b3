"""Keep addresses and noise out of log lines: more people read the log than may read a customer's data."""

from __future__ import annotations

import logging
import re

from queues import masking

# No format of ours shows where in the source, or in which thread, a line was written. Python's logging HOWTO,
# "Optimization": these spare each line a fifth of its time.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class NoAssets(logging.Filter):
    """Drop the lines of ``runserver`` for static files that were found."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for ``"GET /static/… HTTP/1.1" 200 …`` and for 304."""
        line, status = (*map(str, record.args or ()), "", "")[:2]
        return not (line.startswith("GET /static/") and status in ("200", "304"))


class MaskingFormatter(logging.Formatter):
    """Turn ``ada@example.com`` into ``a***@e***.com``, in messages and tracebacks alike.

    A message stays on one line, even if a value in it has line ends; only tracebacks have more lines.
    """

    _second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, and mask addresses in the result."""
        return masking.addresses(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Write the time; the part up to the second is made once a second."""
        second, text = self._second
        if second != int(record.created):
            second, text = int(record.created), super().formatTime(record, "%Y-%m-%d %H:%M:%S")
            self._second = second, text
        return f"{text},{int(record.msecs):03}"

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the line without its traceback, with control characters escaped."""
        line = super().formatMessage(record)
        # Most lines have no control characters, and the search for them costs more than all other formatting.
        if line.isprintable():
            return line
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)
