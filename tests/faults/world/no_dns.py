"""Settings of a process whose DNS never answers: the resolver waits in C, and no signal reaches Python there.

A file that DNS_ASKED names says that the process waits.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import Any, NoReturn

from notifier.settings import *  # noqa: F403


def _hang(*args: Any, **kwargs: Any) -> NoReturn:
    Path(os.environ["DNS_ASKED"]).touch()
    # A mutex that this thread has already: glibc waits for it for ever, through every signal.
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    while True:
        libc.pthread_mutex_lock(mutex)


socket.getaddrinfo = _hang
