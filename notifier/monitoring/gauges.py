"""Read the figures for monitoring from the database: every process gives the same answer, whichever others have died.

Each figure costs one or two indexed queries and counts no further than ``concerns.MOST``. Prometheus reads them at
``/metrics`` (``OpenDeadLetters`` is ``notifier_open_dead_letters`` there), CloudWatch gets them from
``notifier.monitoring.cloudwatch``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Model, QuerySet
from django.utils import timezone

from emails.figures import percentile
from emails.models import Breaker, EventChannel, Notification, SendRate
from notifier.alerts.concerns import MOST
from notifier.overview import running
from queues.models import DeadLetter, OutboxEvent, in_state
from queues.models.live import LiveConsumer
from queues.outbox.relay import LATE_SECONDS, late
from queues.upkeep import figures
from queues.upkeep.figures import MINUTE, TEN_MINUTES

COUNT, SECONDS, NONE = "Count", "Seconds", "None"

Outbox = OutboxEvent.State
Emails = Notification.State


@dataclass(frozen=True)
class Gauge:
    """One figure; ``unit`` is CloudWatch's word, ``queue`` is set if the figure is about one queue alone."""

    name: str
    help: str
    value: float
    unit: str = COUNT
    queue: str = ""


def read() -> list[Gauge]:
    """Read all gauges, with about twenty queries."""
    now = timezone.now()
    return [*_waiting(now), *_processes(now), *_sending(now), *_counted(now)]


def _waiting(now: datetime) -> Iterator[Gauge]:
    letters = DeadLetter.objects.waiting()
    doubtful = Notification.objects.filter(in_state(Emails.IN_DOUBT))
    yield Gauge("OpenDeadLetters", "Dead letters that wait for a person.", _count(letters))
    yield Gauge(
        "OldestOutboxAgeSeconds",
        "Age of the oldest event that should be published and is not.",
        _age(now, _oldest_unpublished(now)),
        SECONDS,
    )
    yield Gauge(
        "LateEvents",
        "Events recorded over a minute ago and not published.",
        _count(late(OutboxEvent.objects.all())),
    )
    for name, state, said in (
        ("RefusedEvents", Outbox.REFUSED, "Events that SQS does not accept as they are."),
        ("HeldEvents", Outbox.HELD, "Events whose FIFO group waits for an email in doubt."),
    ):
        yield Gauge(name, said, _count(OutboxEvent.objects.filter(in_state(state))))
    yield Gauge("InDoubt", "Emails that SES may or may not have accepted.", _count(doubtful))
    yield Gauge(
        "OldestDoubtAgeSeconds",
        "Age of the oldest doubt about an email.",
        _age(now, doubtful.aggregate(oldest=Min("attempt_started_at"))["oldest"]),
        SECONDS,
    )
    yield Gauge(
        "FailedEmails",
        "Emails that SES refused for good, or that could not be rendered.",
        _count(Notification.objects.filter(in_state(Emails.FAILED))),
    )


def _processes(now: datetime) -> Iterator[Gauge]:
    rows = running.consumers()
    consumers = [row for row in rows if row.kind == LiveConsumer.Kind.CONSUMER]
    alive = [row for row in consumers if not row.is_silent]
    yield Gauge("ConsumersAlive", "Consumers with a heartbeat in the last half minute.", len(alive))
    yield Gauge(
        "ConsumersSilent",
        "Processes that send no heartbeat and did not stop.",
        sum(row.is_silent for row in rows),
    )
    for row in running.queues(rows):
        yield Gauge(
            "QueueConsumers", "Living consumers of the queue.", row.consumers, queue=row.alias
        )
        yield Gauge(
            "QueueNotReceiving",
            "Living consumers that SQS gives nothing it should: an error, or an answer that cannot be read.",
            row.not_receiving,
            queue=row.alias,
        )
        yield Gauge(
            "QueuePaused",
            "1 while staff have paused the queue.",
            int(bool(row.paused)),
            queue=row.alias,
        )
        if depth := row.depth:
            for name, value, said in (
                ("QueueWaiting", depth.waiting, "Messages that wait, as last reported by SQS."),
                ("QueueInFlight", depth.in_flight, "Messages in flight, as last reported by SQS."),
                ("QueueDead", depth.dead, "Messages in the DLQ, as last reported by SQS."),
            ):
                yield Gauge(name, said, value, queue=row.alias)
            yield Gauge(
                "QueueOldestAgeSeconds",
                "Age of the oldest published event that is not handled.",
                _age(now, depth.oldest_at),
                SECONDS,
                queue=row.alias,
            )


def _sending(now: datetime) -> Iterator[Gauge]:
    open_breakers = Breaker.objects.filter(is_open=True).count()
    yield Gauge("BreakersOpen", "Open breakers: reasons why nothing is sent now.", open_breakers)
    newest = EventChannel.objects.values_list("newest_sent_at", flat=True).first()
    if newest:
        yield Gauge(
            "SesReportAgeSeconds",
            "Age of the newest email that SES has reported on.",
            _age(now, newest),
            SECONDS,
        )
    rate = SendRate.objects.filter(pk=1).first()
    if rate:
        yield Gauge("SendRateLimit", "Emails a second that SES accepts.", rate.max_send_rate, NONE)
    if rate and rate.max_24_hour_send > 0:
        yield Gauge(
            "QuotaUsed",
            "Used share of the 24-hour quota.",
            rate.sent_last_24_hours / rate.max_24_hour_send,
            NONE,
        )


def _counted(now: datetime) -> Iterator[Gauge]:
    """Read what one consumer counts for all; yields nothing if no consumer has counted lately."""
    hour = figures.since(now - timedelta(hours=1), seconds=MINUTE)
    day = figures.total(figures.since(now - timedelta(days=1), seconds=TEN_MINUTES))
    if hour:
        last = hour[-1].counts
        for name, key, said in (
            ("OrdersPerMinute", "orders", "Orders placed in the last counted minute."),
            ("AcceptedPerMinute", "accepted", "Emails that SES accepted in that minute."),
            ("FailedPerMinute", "failed", "Calls to SES that failed in that minute."),
        ):
            yield Gauge(name, said, last.get(key, 0))
        said = "Emails that SES accepted twice in 24 hours; must be 0."
        yield Gauge("Duplicates", said, day["duplicates"])
        latest = figures.total(hour)
        for name, share in (("OrderToSesP50Seconds", 0.5), ("OrderToSesP95Seconds", 0.95)):
            seconds = percentile(latest, share)
            if seconds is not None:
                said = f"{share:.0%} of the last hour's emails took no longer from event to SES."
                yield Gauge(name, said, seconds, SECONDS)
    if accepted := day["accepted"]:
        for name, key, said in (
            ("BounceRate", "bounced", "Share of hard bounces in the emails accepted in 24 hours."),
            (
                "ComplaintRate",
                "complained",
                "Share of complaints in the emails accepted in 24 hours.",
            ),
        ):
            yield Gauge(name, said, day[key] / accepted, NONE)


def _oldest_unpublished(now: datetime) -> datetime | None:
    """Return when the oldest unpublished event was recorded, without those that must wait behind a held one."""
    rows = late(OutboxEvent.objects.all()).order_by()[:MOST]
    oldest: datetime | None = rows.aggregate(oldest=Min("recorded_at"))["oldest"]
    if oldest:
        return oldest
    young = OutboxEvent.objects.filter(
        in_state(Outbox.PENDING), recorded_at__gte=now - timedelta(seconds=LATE_SECONDS)
    )
    oldest = young.order_by()[:MOST].aggregate(oldest=Min("recorded_at"))["oldest"]
    return oldest


def _age(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _count(rows: QuerySet[Model]) -> int:
    return rows.order_by()[:MOST].count()
