"""Count for the overview how the emails of one minute ended, and how long they took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from emails.models import Attempt, DeliveryEvent
from emails.reports import sub_types
from queues.models import DeadLetter, OutboxEvent
from queues.registry import measures

# We measure only the latest emails of a minute: these are enough for its percentiles, however many were sent.
SAMPLE = 1000
SIMULATOR = "@simulator.amazonses.com"

Outcome = Attempt.Outcome
_FAILED = (Outcome.REFUSED, Outcome.NOT_SENT)

# Latencies are stored as counts per class, so the counts of an hour are the sums of its minutes. A class ends a fifth
# above its beginning, so a percentile is accurate to a tenth.
WIDTH = 1.2
SHORTEST = 0.001
FIRST = "latency "
# Those of redriven emails stand apart: they waited for a person, and say nothing about the machinery.
REDRIVEN = "redriven latency "


@measures
def count(begin: datetime, end: datetime) -> dict[str, int]:
    """Count the attempts, bounces, complaints and latencies from ``begin`` until ``end``.

    ``accepted``, ``failed`` and ``in_doubt`` count attempts; an attempt failed if SES refused it or was not reached.
    ``emails_failed`` counts each email once, when its first attempt of these fails.
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
        "failed": sum(outcomes.get(outcome, 0) for outcome in _FAILED),
        "emails_failed": _failed_first(finished),
        "in_doubt": outcomes.get(Outcome.IN_DOUBT, 0),
        "duplicates": _duplicates(finished),
        "bounced": _bounced(told),
        "complained": _complained(told),
        **_latencies(finished),
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


def _failed_first(finished: QuerySet[Attempt]) -> int:
    """Count the emails of which no earlier attempt failed, so that a message's receives make one failed email."""
    earlier = Attempt.objects.filter(
        notification=OuterRef("notification"), number__lt=OuterRef("number"), outcome__in=_FAILED
    )
    return finished.filter(~Exists(earlier), outcome__in=_FAILED).count()


def _latencies(finished: QuerySet[Attempt]) -> dict[str, int]:
    """Count the times from the event in the outbox to SES's acceptance, those of redriven emails apart.

    Events of a foreign producer are left out: nobody knows when they were recorded.
    """
    event = {"event_id": OuterRef("notification__event_id")}
    recorded = OutboxEvent.objects.filter(**event).order_by("id").values("recorded_at")
    letters = DeadLetter.objects.filter(state=DeadLetter.State.REDRIVEN, **event)
    rows = (
        finished.filter(outcome=Outcome.ACCEPTED)
        .order_by("-finished_at")
        .annotate(recorded_at=Subquery(recorded[:1]), is_redriven=Exists(letters))
        .values_list("finished_at", "recorded_at", "is_redriven")[:SAMPLE]
    )
    times: dict[str, list[float]] = {FIRST: [], REDRIVEN: []}
    for finished_at, recorded_at, is_redriven in rows:
        if finished_at and recorded_at:
            seconds = (finished_at - recorded_at).total_seconds()
            times[REDRIVEN if is_redriven else FIRST].append(seconds)
    return counted(times[FIRST]) | counted(times[REDRIVEN], REDRIVEN)


def counted(times: Iterable[float], prefix: str = FIRST) -> dict[str, int]:
    """Count these times, in seconds, per latency class; the keys are the names of the classes."""
    counts: dict[str, int] = {}
    for seconds in times:
        name = f"{prefix}{round(math.log(max(seconds, SHORTEST), WIDTH))}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def measured(counts: Mapping[str, int], prefix: str = FIRST) -> int:
    """Return how many times were counted."""
    return sum(count for name, count in counts.items() if name.startswith(prefix))


def percentile(counts: Mapping[str, int], share: float, prefix: str = FIRST) -> float | None:
    """Return the seconds that this share of the counted times did not exceed; None if nothing was counted."""
    classes = sorted(
        (int(name.removeprefix(prefix)), count)
        for name, count in counts.items()
        if name.startswith(prefix)
    )
    left = share * measured(counts, prefix)
    for number, count in classes:
        left -= count
        if left <= 0:
            return float(WIDTH**number)
    return None
