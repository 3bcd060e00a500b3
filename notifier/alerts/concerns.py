"""Find what needs a person, most urgent first: the overview shows it, and alerts announce it.

However many rows there are, each concern costs a few indexed queries and counts no further than ``MOST``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Min, Model, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from emails.identities import sender_status
from emails.models import Breaker, Canary, EventChannel, Identity, Notification, Suppression
from emails.models.reputation import Guard
from emails.reports import evidence
from emails.reputation import suppressions
from emails.sending import breakers, guard, states
from queues import masking
from queues.answers import Cause as DeadLetterCause
from queues.console import list_url, moment, short
from queues.dead_letters import causes
from queues.dead_letters.advice import UNEXPECTED, advise
from queues.models import DeadLetter, OutboxEvent, in_state
from queues.models.live import Figure, LiveConsumer, PausedQueue, QueueDepth
from queues.outbox.relay import late
from queues.upkeep.figures import TEN_MINUTES

MOST = 10_000
# At most this many causes are listed one by one; the overview names the first few.
MOST_CAUSES = 20
NAMED_CAUSES = 3
# The key of the concern about dead letters; each of its causes has a fingerprint after it.
DEAD_LETTERS = "letters"
DANGER = "danger"
# SES reports within seconds. If its reports are this late, they do not reach us.
EVENTS_LATE = timedelta(minutes=15)
CANARY_NEWS = timedelta(days=1)

Emails = Notification.State


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause of a concern, with the number of its rows.

    ``words`` is its short form. ``place`` is the argument for the concern's ``page_of_one``. ``newest`` is when its
    latest row came; it is set only where new rows of a known cause are news.
    """

    key: str
    text: str
    count: int = 1
    place: str = ""
    words: str = ""
    newest: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Something that needs a person; ``advice`` says what to do. ``one`` is the title of a single row.

    ``page``, or ``model`` with ``query``, is the list that shows the rows; without them it is the overview itself.
    ``page_of_one`` shows one cause alone. ``is_alerted`` is True if people are alerted about it.
    """

    key: str
    title: str
    advice: str
    count: int = 1
    one: str = ""
    colour: str = DANGER
    model: type[Model] | None = None
    query: str = ""
    page: str = ""
    page_of_one: str = ""
    causes: Sequence[Cause] = ()
    is_alerted: bool = True

    @property
    def address(self) -> str:
        """The address of the page that shows the rows."""
        # Computed only when it is read: it loads the admin pages, which a consumer never shows.
        if self.page:
            return reverse(self.page)
        if self.model is None:
            return f"{reverse('admin:index')}#{self.query}"
        return f"{list_url(self.model)}?{self.query}" if self.query else list_url(self.model)

    @property
    def number(self) -> str:
        """The count for display: ``10,000+`` where counting stopped at ``MOST``."""
        return f"{self.count:,}" if self.count <= MOST else f"{MOST:,}+"

    @property
    def named(self) -> list[tuple[Cause, str]]:
        """The largest causes, each with its address."""
        return [(cause, self.address_of(cause)) for cause in self.causes[:NAMED_CAUSES]]

    @property
    def unnamed(self) -> int:
        """The number of causes that ``named`` leaves out."""
        return max(0, len(self.causes) - NAMED_CAUSES)

    @property
    def is_cut(self) -> bool:
        """True if there are rows that none of the listed causes counts."""
        counted = sum(cause.count for cause in self.causes)
        return bool(self.causes) and (self.count > MOST or counted < self.count)

    def address_of(self, cause: Cause) -> str:
        """Return the address of this cause's own page, or of the concern if it has none."""
        return reverse(self.page_of_one, args=[cause.place]) if cause.place else self.address


def current(may: Callable[[str], bool] = lambda permission: True) -> list[Concern]:
    """List the concerns of this moment that a user with these permissions may see; what stops emails comes first."""
    found = [
        concern
        for permission, check in _CHECKS
        if may(permission)
        for concern in check()
        if concern.count
    ]
    return sorted(found, key=lambda concern: concern.colour != DANGER)


def _consumers() -> Iterable[Concern]:
    """Report queues that have no consumer, and processes that went silent without stopping."""
    rows = list(LiveConsumer.objects.with_silence())
    living = [row for row in rows if not row.is_silent and row.kind == LiveConsumer.Kind.CONSUMER]
    served = {alias for row in living for alias in row.queues} | set(settings.LAMBDA_QUEUES)
    lonely = [alias for alias in settings.QUEUES if alias not in served]
    if lonely:
        yield Concern(
            key=f"no consumer {' '.join(lonely)}",
            title=f"No consumer of {', '.join(lonely)}" if living else "No consumer runs",
            advice="Messages wait until one is started: python manage.py consume_queue",
            query="consumers",
        )
    silent = [row for row in rows if row.is_silent]
    yield Concern(
        key="silent",
        title="Silent consumers",
        one="silent consumer",
        count=len(silent),
        colour="warning",
        advice="They sent no heartbeat and did not stop: killed, frozen, or cut off from the database. "
        "Other consumers take over their messages. Start them again, or forget them in the table of consumers on the "
        "Overview.",
        query="consumers",
        causes=[
            Cause(
                key=f"silent {row.host}:{row.pid}",
                text=f"{row.kind} {row.host}:{row.pid}, last heard {moment(row.beat_at)}",
            )
            for row in silent[:MOST_CAUSES]
        ],
    )


_BREAKER_ADVICE = {
    "quota": "Wait until earlier emails are more than 24 hours old, or ask AWS for a higher quota.",
    "account": "Look at the SES console: AWS or a person paused sending.",
    "configuration": "Check the sender on the Identities page, the configuration set and the credentials.",
}


def _breakers() -> Iterable[Concern]:
    """Report each open breaker. Messages stay in their queues, and sending resumes by itself: no email is lost."""
    for breaker in Breaker.objects.filter(is_open=True):
        yield Concern(
            key=f"breaker {breaker.name}",
            title=f"Sending has stopped: {breaker.name}",
            advice=f"{breaker.code}: {masking.addresses(breaker.reason).rstrip('.')}. "
            f"{_BREAKER_ADVICE[breaker.name]} Sending resumes by itself.",
            # The others are fixed in AWS; the overview shows when they are over.
            model=Identity if breaker.name == breakers.CONFIGURATION else None,
        )


def _guard() -> Iterable[Concern]:
    """Report high bounce and complaint rates before AWS acts on them, and bulk email that the guard has stopped."""
    row = guard.state()
    if row.is_stopped:
        yield Concern(
            key="guard",
            title="Bulk email is stopped",
            advice=f"{row.stopped_by or 'The guard'} stopped it {moment(row.stopped_at)}: {row.reason.rstrip('.')}. "
            "Fix the cause, then resume it. All other email goes out.",
            model=Guard,
            # The person who stopped it knows.
            is_alerted=not row.stopped_by,
        )
    high = [rate for rate in guard.rates(timezone.now()) if rate.is_high]
    for rate in high if not row.is_stopped else ():
        yield Concern(
            key=f"guard {rate.name}",
            title=f"Too many {rate.name}",
            colour="warning",
            advice=f"{rate.words[0].upper()}{rate.words[1:]} within {settings.GUARD_HOURS} hours. Look at the "
            f"emails in question: AWS may pause the account. At {rate.stop:g} % bulk email stops by itself.",
            model=Notification,
            query=f"delivery_status__exact={rate.status}",
        )


def _canaries() -> Iterable[Concern]:
    """Report versions of templates that wait for a person, or that went back by themselves within a day."""
    since = timezone.now() - CANARY_NEWS
    parked = Q(state=Canary.State.PARKED)
    news = Q(state=Canary.State.WENT_BACK, ended_at__gte=since)
    for row in Canary.objects.select_related("version").filter(parked | news):
        is_parked = row.state == Canary.State.PARKED
        yield Concern(
            key=f"canary {row.pk}",
            title=f"{row.version} {'waits' if is_parked else 'went back'}",
            colour="warning",
            advice=f"{row.note} "
            + (
                "No more emails get it: let it go on, or take it back."
                if is_parked
                else "All emails are made with the version in force. Mend the draft."
            ),
            page="admin:emails_emailtemplate_changelist",
        )


def _support() -> Iterable[Concern]:
    """Report a SUPPORT_EMAIL that is on the suppression list and so gets no alerts about bounces."""
    address = settings.SUPPORT_EMAIL
    found = Suppression.objects.active().of([address]).first() if address else None
    if found:
        yield Concern(
            key="support",
            title="The support gets no alerts",
            advice="The address in SUPPORT_EMAIL is on the suppression list. Fix the mailbox and lift the "
            "suppression, or set another address.",
            model=Suppression,
        )


def _admins() -> Iterable[Concern]:
    """Report addresses of ADMINS that are on the suppression list and so get no alerts."""
    count = len(suppressions.listed([address for _, address in settings.ADMINS]))
    if count:
        yield Concern(
            key="admins",
            title="Alerts do not reach all of ADMINS",
            advice="Addresses of ADMINS on the suppression list: "
            f"{count} of {len(settings.ADMINS)}. Fix the mailbox and lift the suppression, or set another address.",
            model=Suppression,
        )


def _sender() -> Iterable[Concern]:
    if found := sender_status.unverified():
        yield Concern(
            key="sender",
            title="The sender is not verified",
            advice=f"SES sends nothing from {found.address}, as it said {moment(found.asked_at)}. "
            "Verify the address or its domain.",
            model=Identity,
        )


def _dead_letters() -> Iterable[Concern]:
    newest = DeadLetter.objects.waiting().order_by("-collected_at")
    groups = list(
        DeadLetter.objects.filter(pk__in=newest.values("pk")[: MOST + 1])
        .order_by()
        .values("fingerprint", "code")
        .annotate(
            count=Count("pk"),
            reason=Max("reason"),
            first=Min("collected_at"),
            last=Max("collected_at"),
        )
        .order_by("-count", "fingerprint")
    )
    yield Concern(
        key=DEAD_LETTERS,
        title="Open dead letters",
        one="open dead letter",
        count=sum(group["count"] for group in groups),
        advice="See their causes, fix them, then redrive.",
        page="admin:queues_deadletter_groups",
        page_of_one="admin:queues_deadletter_group",
        causes=[
            Cause(
                key=f"{DEAD_LETTERS} {group['fingerprint']}",
                text=masking.addresses(short(f"{group['code']}: {group['reason']}")),
                count=group["count"],
                place=causes.key_of(group["fingerprint"]),
                words=_in_words(group["code"], group["reason"]),
                newest=group["last"],
            )
            for group in groups[:MOST_CAUSES]
        ],
    )


def _in_words(code: str, reason: str) -> str:
    """Say what happened; an error that we have no words for is named by its code too."""
    words = advise(DeadLetterCause(code, reason)).words
    return f"{words}: {code}" if words == UNEXPECTED.words else words


def _emails() -> Iterable[Concern]:
    doubtful = Notification.objects.filter(in_state(Emails.IN_DOUBT))
    count = _count(doubtful)
    yield Concern(
        key="in doubt",
        title="Emails in doubt",
        one="email in doubt",
        count=count,
        colour="warning",
        advice="SES may have accepted them. Say whether they were sent.",
        model=Notification,
        query="state__exact=in_doubt",
        is_alerted=bool(count) and _parked(doubtful).exists(),
    )
    yield Concern(
        key="failed",
        title="Emails failed",
        one="email failed",
        count=_count(Notification.objects.filter(in_state(Emails.FAILED))),
        advice="SES refused them for good, or they could not be written.",
        model=Notification,
        query="state__exact=failed",
        # Each has a dead letter.
        is_alerted=False,
    )


def _parked(doubtful: QuerySet[Notification]) -> QuerySet[Notification]:
    """Keep the emails in doubt that only a person can settle, or that should have been settled by now."""
    if not states.doubts_end():
        return doubtful
    seconds = settings.DOUBT_GRACE_SECONDS + 2 * settings.DOUBT_DRAIN_SECONDS
    return doubtful.filter(attempt_started_at__lt=timezone.now() - timedelta(seconds=seconds))


def _outbox() -> Iterable[Concern]:
    yield Concern(
        key="late",
        title="Late events",
        one="late event",
        count=_count(late(OutboxEvent.objects.all())),
        colour="warning",
        advice="Recorded over a minute ago and not published: is consume_queue running?",
        model=OutboxEvent,
        query="late=yes",
    )
    yield Concern(
        key="held",
        title="Held groups",
        one="held group",
        count=_count(OutboxEvent.objects.filter(in_state(OutboxEvent.State.HELD))),
        colour="warning",
        advice="Later events of the group wait until the email in doubt is settled.",
        model=OutboxEvent,
        query="state__exact=held",
        is_alerted=False,
    )
    yield Concern(
        key="refused",
        title="Refused events",
        one="refused event",
        count=_count(OutboxEvent.objects.filter(in_state(OutboxEvent.State.REFUSED))),
        advice="SQS will not take them as they are.",
        model=OutboxEvent,
        query="state__exact=refused",
    )


def _paused() -> Iterable[Concern]:
    for paused in PausedQueue.objects.all():
        yield Concern(
            key=f"paused {paused.alias}",
            title=f"Queue {paused.alias} is paused",
            colour="warning",
            advice=f"Paused by {paused.paused_by} since {moment(paused.since)}: {paused.reason}",
            query="queues",
            # The person who paused it knows.
            is_alerted=False,
        )


def _lacking() -> Iterable[Concern]:
    """Report queues or topics that AWS does not have; their events wait in the outbox meanwhile."""
    for depth in QueueDepth.objects.filter(alias__in=list(settings.QUEUES)):
        if depth.is_lacking:
            yield Concern(
                key=f"lacking {depth.alias}",
                title=f"Nothing comes to the queue {depth.alias}",
                advice=f"{depth.error[0].upper()}{depth.error[1:]}",
                query="queues",
            )


def _events() -> Iterable[Concern]:
    """Report that SES accepts emails but no report about them has reached us for more than 15 minutes."""
    if evidence.ALIAS not in settings.QUEUES:
        return
    now = timezone.now()
    spans = Figure.objects.filter(
        seconds=TEN_MINUTES,
        begins_at__gte=now - timedelta(days=1),
        begins_at__lt=now - EVENTS_LATE - timedelta(seconds=TEN_MINUTES),
        counts__accepted__gt=0,
    )
    accepted = spans.order_by("-begins_at").values_list("begins_at", flat=True).first()
    newest = EventChannel.objects.values_list("newest_sent_at", flat=True).first()
    if accepted and (newest is None or newest < accepted):
        yield Concern(
            key="events",
            title="SES reports nothing",
            colour="warning",
            advice=f"SES accepted emails since {moment(accepted)}, but no report came: emails in doubt are not "
            "settled by themselves. Does a consumer read the queue ses-events? If so, run manage.py provision.",
            query="queues",
        )


def _count(rows: QuerySet[Model]) -> int:
    return rows.order_by()[: MOST + 1].count()


_CHECKS: list[tuple[str, Callable[[], Iterable[Concern]]]] = [
    ("queues.view_consumer", _consumers),
    ("emails.view_notification", _breakers),
    ("emails.view_notification", _sender),
    ("emails.view_guard", _guard),
    ("emails.preview_email", _canaries),
    ("emails.view_suppression", _support),
    ("emails.view_suppression", _admins),
    ("queues.view_deadletter", _dead_letters),
    ("emails.view_notification", _emails),
    ("queues.view_outboxevent", _outbox),
    ("queues.view_consumer", _paused),
    ("queues.view_consumer", _lacking),
    ("emails.view_notification", _events),
]
