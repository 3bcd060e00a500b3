"""Decide which fault happens when, by a seeded random number generator."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

# Name → what it does. Each has a probability, 0 unless set.
FAULTS = {
    "sqs_error": "an SQS action answers 500 and does nothing",
    "send_cut": "SendMessageBatch takes the messages, and its answer is lost",
    "entry_failed": "SendMessageBatch does not take this entry",
    "message_lost": "a standard queue takes a message and loses it",
    "message_doubled": "a standard queue hands a message out again while it is in flight",
    "message_tripled": "a standard queue takes a message three times, each with an id of its own",
    "delete_lost": "SQS says that it deleted a message, and hands it out again",
    "event_delayed": "an event of SES comes late",
    "event_doubled": "an event of SES comes twice",
    "ses_throttled": "SES answers: Maximum sending rate exceeded",
    "ses_slow": "SES takes its time, then goes on",
    "ses_cut_before": "the connection ends before SES accepts",
    "ses_503_before": "SES answers 503 and has not accepted",
    "ses_cut_after": "SES accepts, and its answer is lost",
    "ses_503_after": "SES accepts and answers 503",
    # Switches: with 1 they last until they are set to 0.
    "sqs_down": "SQS hangs up on every action",
    "sqs_hangs": "SQS takes every call and never answers",
    "ses_hangs": "SES takes every call and never answers; it accepts nothing",
    "ses_paused": "SES has paused the account",
    "ses_sandbox": "SES refuses every recipient as not verified",
    "events_held": "events of SES are held back; with 0 they come at once",
}
# After these the sender cannot know whether SES accepted.
AMBIGUOUS = ("ses_cut_before", "ses_503_before", "ses_cut_after", "ses_503_after", "ses_slow")


class Faults:
    """The same seed and the same order of questions give the same answers."""

    def __init__(self, rates: Mapping[str, float], *, seed: int = 0) -> None:
        self.rates: dict[str, float] = dict.fromkeys(FAULTS, 0.0)
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self.set(rates)

    def set(self, rates: Mapping[str, float]) -> None:
        """Change some probabilities; raises KeyError for a fault that there is not."""
        for name, rate in rates.items():
            if name not in FAULTS:
                raise KeyError(name)
            self.rates[name] = float(rate)

    def happens(self, name: str) -> bool:
        """Return True, and count it, if this fault happens now."""
        hit = self._random.random() < self.rates[name]
        self.counts[name] += hit
        return hit

    def seconds(self, least: float, most: float) -> float:
        """Draw a duration between two bounds, in seconds."""
        return self._random.uniform(least, most)
