"""Say how many messages to handle at once for ``consume_queue --concurrency auto``: as many as upper apps need now."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from queues import registry
from queues.consumer.loop import CONCURRENCY

logger = logging.getLogger(__name__)

AUTO = "auto"
# Never fewer than the fixed default: an occasional slow commit or call must not slow the emails down.
LEAST, MOST = CONCURRENCY, 200
# The time between two adjustments.
SECONDS = 1.0
# The size follows only if the need differs this much, because it always changes a little. A lane or a thread too many
# costs little; one too few slows the emails down.
GROW, SHRINK = 1.25, 0.5


class Sizing:
    """Adjusts how many messages one consumer handles at once of each queue; all begin with the default number.

    ``processes`` share the work, so each takes its part of the whole. It does not know of consumers elsewhere.
    """

    def __init__(
        self,
        aliases: Iterable[str],
        *,
        resize: Callable[[str, int], None],
        processes: int = 1,
        needed: Callable[[str], int | None] = registry.needed,
    ) -> None:
        self._sizes = dict.fromkeys(aliases, CONCURRENCY)
        self._resize = resize
        self._processes = processes
        self._needed = needed

    def adjust(self) -> int:
        """Adjust the number of each queue once; returns 0, so that ``Repeated`` waits before the next time."""
        for alias in self._sizes:
            needed = self._needed(alias)
            if needed is not None:
                mine = math.ceil(needed / self._processes)
                self._set(alias, min(MOST, max(LEAST, mine)))
        return 0

    def _set(self, alias: str, size: int) -> None:
        before = self._sizes[alias]
        if SHRINK * before < size < GROW * before:
            return
        self._sizes[alias] = size
        self._resize(alias, size)
        logger.info("resized queue=%s at_once=%d before=%d", alias, size, before)
