"""Do what Lambda does around a handler, in a bare interpreter with the unpacked zip and nothing else.

``python -I -S lambda_runtime.py FOLDER``: reads events from stdin, one JSON a line, and prints for each the handler's
answer with the seconds that it took and the most memory that it had; before that the seconds of the import.
"""

import importlib
import json
import resource
import sys
import time


class Context:
    """A minute, from now."""

    def __init__(self):
        self._ends_at = time.monotonic() + 60

    def get_remaining_time_in_millis(self):
        """Return the milliseconds left, as Lambda's own context does."""
        return int(1000 * (self._ends_at - time.monotonic()))


def main():
    """Invoke the handler for each line until stdin ends."""
    began = time.perf_counter()
    sys.path.insert(0, sys.argv[1])
    handler = importlib.import_module("queues.aws_lambda").handler
    _say(seconds=time.perf_counter() - began)
    for line in sys.stdin:
        began = time.perf_counter()
        answer = handler(json.loads(line), Context())
        _say(answer=answer, seconds=time.perf_counter() - began)


def _say(**fields):
    fields["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(fields), flush=True)


main()
