"""``consume_queue --concurrency auto``: as many messages at once as the upper apps say are needed now."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from queues import registry
from queues.consumer.loop import CONCURRENCY

logger = logging.getLogger(__name__)

AUTO = "auto"
# No fewer than without it: a commit or a call that takes long now and then must not cost emails.
LEAST, MOST = CONCURRENCY, 64
# Between two looks.
SECONDS = 1.0
# Times the size so far: what is needed never stands still. A thread too many costs little, one too few emails.
GROW, SHRINK = 1.25, 0.5


class Sizing:
    """Of one consumer's queues, each of which has begun with the default.

    ``processes`` do the same work, so each needs its part of the whole; whoever else does it is not known of.
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
        """Look at each queue once; returns 0, so that the next look waits its turn."""
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
        logger.info("resized queue=%s threads=%d before=%d", alias, size, before)
