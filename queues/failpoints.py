"""Kill or freeze this process at a named point, to test the consequences."""

from __future__ import annotations

import itertools
import os
import signal
from collections import defaultdict

from django.conf import settings

_counts: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))


def failpoint(name: str) -> None:
    """Kill this process the nth time it passes here, if FAILPOINTS is ``name:nth``.

    The signal is SIGKILL; ``name:nth:STOP`` sends SIGSTOP instead.
    """
    if not settings.FAILPOINTS:
        return
    wanted, nth, number = (f"{settings.FAILPOINTS}::".split(":"))[:3]
    if name == wanted and next(_counts[name]) == int(nth or 1):
        os.kill(os.getpid(), signal.Signals[f"SIG{number or 'KILL'}"])
