"""Count for the overview how the emails of one minute ended, and how long they took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from emails.models import Attempt, DeliveryEvent
from emails.reports import sub_types
from queues.models import OutboxEvent
from queues.registry import measures

# We measure only the latest emails of a minute: these are enough for its percentiles, however many were sent.
SAMPLE = 1000
SIMULATOR = "@simulator.amazonses.com"

Outcome = Attempt.Outcome

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
    told = recorded.exclude(recipient__endswith=SIMULATOR).order_by()
    return {
        "accepted": outcomes.get(Outcome.ACCEPTED, 0),
        "failed": outcomes.get(Outcome.REFUSED, 0) + outcomes.get(Outcome.NOT_SENT, 0),
        "in_doubt": outcomes.get(Outcome.IN_DOUBT, 0),
        "duplicates": _duplicates(finished),
        "bounced": _bounced(told),
        "complained": _complained(told),
        **counted(_times(finished)),
    }


def _bounced(told: QuerySet[DeliveryEvent]) -> int:
    """Count permanent bounces as SES does: without most of those that it did not try."""
    permanent = told.filter(type="Bounce", raw__bounce__bounceType="Permanent")
    kinds = permanent.values_list("raw__bounce__bounceSubType").annotate(Count("id"))
    return sum(count for kind, count in kinds if _sub_type(kind).counts)


def _complained(told: QuerySet[DeliveryEvent]) -> int:
    """Count complaints, but not those that say the opposite, nor what SES did not try."""
    kinds = (
        told.filter(type="Complaint")
        .values_list("raw__complaint__complaintFeedbackType", "raw__complaint__complaintSubType")
        .annotate(Count("id"))
    )
    return sum(
        count
        for feedback, kind, count in kinds
        if not sub_types.is_not_spam(feedback) and _sub_type(kind).is_tried
    )


def _sub_type(name: object) -> sub_types.SubType:
    """Return the meaning of a sub-type that is stored as SES wrote it: of any type, or missing."""
    return sub_types.of(name if isinstance(name, str) else "")


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
