"""Say in a few words how the files of two versions differ, as ``git diff --stat`` does."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff


def summary(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each file that differs: ``subject.hbs +1 -1``; none if nothing does."""
    return [
        f"{name} {_difference(old.get(name), new.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _difference(old: str | None, new: str | None) -> str:
    if old is None:
        return f"new, {len((new or '').splitlines())} line(s)"
    if new is None:
        return "deleted"
    lines = unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), n=0)
    # The first two name the files.
    signs = [line[0] for line in lines][2:]
    return f"+{signs.count('+')} -{signs.count('-')}"
