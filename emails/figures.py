"""Count for the overview how the emails of one minute ended, and how long they took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from emails.models import Attempt, DeliveryEvent
from queues.models import OutboxEvent
from queues.registry import measures

# We measure only the latest emails of a minute: these are enough for its percentiles, however many were sent.
SAMPLE = 1000
SIMULATOR = "@simulator.amazonses.com"

Outcome = Attempt.Outcome

# We count as SES does: permanent bounces, except emails that SES did not try because the address is on the account's
# suppression list.
_BOUNCED = Q(type="Bounce", raw__bounce__bounceType="Permanent")
_UNTRIED = Q(raw__bounce__bounceSubType="OnAccountSuppressionList")
_COMPLAINED = Q(type="Complaint")
_NO_COMPLAINT = Q(raw__complaint__complaintFeedbackType="not-spam") | Q(
    raw__complaint__complaintSubType="OnAccountSuppressionList"
)
# Latencies are stored as counts per class, so the counts of an hour are the sums of its minutes. A class ends a fifth
# above its beginning, so a percentile is accurate to a tenth.
WIDTH = 1.2
SHORTEST = 0.001
_PREFIX = "latency "


@measures
def count(begin: datetime, end: datetime) -> dict[str, int]:
    """Count the attempts, bounces, complaints and latencies from ``begin`` until ``end``.

    ``accepted``, ``failed`` and ``in_doubt`` count attempts; an attempt failed if SES refused it or was not reached.
    """
    finished = Attempt.objects.filter(finished_at__gte=begin, finished_at__lt=end).order_by()
    outcomes = dict(finished.values_list("outcome").annotate(Count("id")))
    recorded = DeliveryEvent.objects.filter(
        recorded_at__gte=begin, recorded_at__lt=end, is_orphan=False
    )
    # SES does not count its mailbox simulator either.
    told = recorded.exclude(recipient__endswith=SIMULATOR).aggregate(
        bounced=Count("id", filter=_BOUNCED),
        untried=Count("id", filter=_BOUNCED & _UNTRIED),
        complained=Count("id", filter=_COMPLAINED),
        # We count and subtract: in SQL the negation of a condition on a missing JSON key is never true.
        no_complaints=Count("id", filter=_COMPLAINED & _NO_COMPLAINT),
    )
    return {
        "accepted": outcomes.get(Outcome.ACCEPTED, 0),
        "failed": outcomes.get(Outcome.REFUSED, 0) + outcomes.get(Outcome.NOT_SENT, 0),
        "in_doubt": outcomes.get(Outcome.IN_DOUBT, 0),
        "duplicates": _duplicates(finished),
        "bounced": told["bounced"] - told["untried"],
        "complained": told["complained"] - told["no_complaints"],
        **counted(_times(finished)),
    }


def _duplicates(finished: QuerySet[Attempt]) -> int:
    """Count second acceptances of one email: there must be none. The later of two acceptances counts."""
    other = Attempt.objects.filter(
        ~Q(pk=OuterRef("pk")),
        notification=OuterRef("notification"),
        outcome=Outcome.ACCEPTED,
        finished_at__lte=OuterRef("finished_at"),
    )
    return finished.filter(Exists(other), outcome=Outcome.ACCEPTED).count()


def _times(finished: QuerySet[Attempt]) -> list[float]:
    """Return the seconds from the event in the outbox to SES's acceptance.

    Events of a foreign producer are left out: nobody knows when they were recorded.
    """
    recorded = OutboxEvent.objects.filter(event_id=OuterRef("notification__event_id"))
    accepted = (
        finished.filter(outcome=Outcome.ACCEPTED)
        .order_by("-finished_at")
        .annotate(recorded_at=Subquery(recorded.order_by("id").values("recorded_at")[:1]))
    )
    return [
        (finished_at - recorded_at).total_seconds()
        for finished_at, recorded_at in accepted.values_list("finished_at", "recorded_at")[:SAMPLE]
        if finished_at and recorded_at
    ]


def counted(times: Iterable[float]) -> dict[str, int]:
    """Count these times, in seconds, per latency class; the keys are the names of the classes."""
    counts: dict[str, int] = {}
    for seconds in times:
        name = f"{_PREFIX}{round(math.log(max(seconds, SHORTEST), WIDTH))}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def percentile(counts: Mapping[str, int], share: float) -> float | None:
    """Return the seconds that this share of the counted times did not exceed; None if nothing was counted."""
    classes = sorted(
        (int(name.removeprefix(_PREFIX)), count)
        for name, count in counts.items()
        if name.startswith(_PREFIX)
    )
    left = share * sum(count for _, count in classes)
    for number, count in classes:
        left -= count
        if left <= 0:
            return float(WIDTH**number)
    return None
