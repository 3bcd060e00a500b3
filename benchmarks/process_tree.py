"""CPU time and memory of a process with all that it started, from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """CPU time so far, and resident memory now."""

    cpu_seconds: float
    memory_mb: float


def usage(pid: int) -> Usage:
    """Return the usage of the whole tree, ended children included."""
    ticks = pages = 0
    for member in members(pid):
        with contextlib.suppress(OSError):
            # utime, stime, cutime, cstime; rss. See proc(5).
            fields = _stat(member)
            ticks += sum(map(int, fields[11:15]))
            pages += int(fields[21])
    return Usage(ticks / _TICKS, pages * _PAGE / 2**20)


def members(pid: int) -> list[int]:
    """The process and its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                children[int(_stat(int(folder.name))[1])].append(int(folder.name))
    found = [pid]
    for member in found:
        found += children[member]
    return found


def kill(pid: int) -> None:
    """End the whole tree at once."""
    for member in members(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """The fields after the name of the command, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
