"""Check AWS, the queues and the consumers for ``manage.py doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings

from queues.aws import account, clients, names, sqs
from queues.aws.failures import error_codes
from queues.doctor import queue_attributes
from queues.doctor.findings import AwsAway, Finding, Verdict, doctor_check, missing_right
from queues.errors import QueueMissing, QueueUnavailable
from queues.models.live import LiveConsumer, PausedQueue

# AWS refuses a signature that is five minutes off; a clock that drifts gets there.
MAX_SKEW_SECONDS, SKEW_SECONDS = 300, 20

_NOTHING_MOVES = "Nothing is sent or received; the checks that need AWS were left out."
_CREDENTIALS_FIX = (
    "Give the process credentials as the SDK expects them: a role of the machine or container, or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY in its environment."
)


@doctor_check("Credentials", asks_aws=True)
def credentials() -> Iterable[Finding]:
    """Check that there are credentials, that AWS accepts them, and that the clock is right; AWS signs with the time."""
    source = _source()
    yield Finding("credentials.source", f"Credentials come from {source}.")
    try:
        found = account.caller()
    except QueueUnavailable as exc:
        yield _caller_unknown(exc)
        return
    yield from _about(found)


def _source() -> str:
    try:
        source = account.credentials_source()
    except QueueUnavailable as exc:
        raise AwsAway(_no_credentials(f"No credentials can be read: {exc}")) from exc
    if not source:
        raise AwsAway(_no_credentials("The SDK finds no credentials."))
    return source


def _no_credentials(what: str) -> Finding:
    return Finding(
        "credentials.missing",
        what,
        Verdict.ERROR,
        why="Nothing can be sent, received or asked of AWS; the checks that need it were left out.",
        fix=_CREDENTIALS_FIX,
    )


def _caller_unknown(exc: QueueUnavailable) -> Finding:
    """Bad credentials end the checks of AWS; an endpoint without STS does not."""
    if error_codes.is_about_credentials(exc.code):
        raise AwsAway(_no_credentials(f"AWS does not take the credentials: {exc}")) from exc
    return Finding(
        "credentials.unknown",
        f"AWS does not tell who we are: STS answers {exc.code}. Account and clock were not compared.",
        Verdict.NOTE,
    )


def _about(found: account.Caller) -> Iterator[Finding]:
    if found.arn.endswith(":root"):
        yield Finding(
            "credentials.root",
            f"The credentials are those of the root user of account {found.account}.",
            Verdict.WARNING,
            why="They may do everything in the account, and cannot be narrowed.",
            fix="Make a role or user with the rights in docs/reference/rights-on-aws.md, "
            "and use its credentials.",
        )
    else:
        yield Finding("credentials.caller", f"AWS knows us as {found.arn}.")
    if found.seconds_ahead is None:
        yield Finding("clock.unknown", "AWS did not tell its time.", Verdict.NOTE)
    else:
        yield _clock(found.seconds_ahead)


def _clock(seconds_ahead: float) -> Finding:
    off = abs(seconds_ahead)
    if off <= SKEW_SECONDS:
        return Finding(
            "clock.right", f"The clock agrees with AWS to within {max(1, round(off))} s."
        )
    direction = "ahead of" if seconds_ahead > 0 else "behind"
    return Finding(
        "clock.wrong",
        f"The clock is {off:.0f} s {direction} AWS's clock.",
        Verdict.ERROR if off > MAX_SKEW_SECONDS else Verdict.WARNING,
        why="AWS refuses requests signed five minutes off, and doubts are ended by comparing our time with SES's.",
        fix="Start time synchronisation on this machine: timedatectl set-ntp true, or chrony.",
    )


@doctor_check("Region")
def region() -> Iterable[Finding]:
    """Check that the region exists, and that the queues and topics named by URL or ARN are in it."""
    here = settings.AWS_REGION
    if here not in account.known_regions():
        yield Finding(
            "region.unknown",
            f"AWS_REGION={here} is no region that the SDK knows.",
            Verdict.WARNING,
            why="A misspelt region is a host that does not exist.",
            fix="Correct AWS_REGION, or ignore this if the region is newer than the SDK.",
        )
    else:
        yield Finding("region.known", f"The region is {here}.")
    for name, other in _elsewhere(here):
        yield Finding(
            "region.differs",
            f"{name} names {other}, AWS_REGION is {here}.",
            Verdict.ERROR,
            why="Requests are signed for AWS_REGION, and another region refuses them.",
            fix=f"Set AWS_REGION={other}, or name the queue or topic of {here} in {name}.",
        )


def _elsewhere(here: str) -> Iterator[tuple[str, str]]:
    for setting, text in _named().items():
        region = names.read(text).region
        if region and region != here:
            yield setting, region


def _named() -> dict[str, str]:
    """Return what settings name of AWS, by the setting; a webhook's topics may be anywhere."""
    found = {
        f"{kind}_{alias.upper().replace('-', '_')}": text
        for kind, texts in (("QUEUE", settings.QUEUES), ("TOPIC", settings.TOPICS))
        for alias, text in texts.items()
    }
    others = ("ARCHIVE_QUEUE", "SES_EVENTS_TOPIC", "ALERTS_TOPIC")
    return found | {name: getattr(settings, name) for name in others}


@doctor_check("Queues", asks_aws=True)
def queues() -> Iterable[Finding]:
    """Check that each queue and its dead-letter queue exist, are of the right kind, and lose no message."""
    for queue in sqs.queues():
        yield from _queue(queue)


def _queue(queue: sqs.Queue) -> Iterator[Finding]:
    attributes: dict[str, dict[str, str]] = {}
    for each in (queue, sqs.dead_letter_queue(queue.alias)):
        try:
            attributes[each.name] = _attributes(each)
        except QueueMissing:
            yield _missing(each, is_dead_letter_queue=each is not queue)
        except QueueUnavailable as exc:
            yield _unasked(each, exc)
    if queue.name in attributes:
        dead = sqs.dead_letter_queue(queue.alias)
        yield from queue_attributes.of_queue(
            queue, attributes[queue.name], dead, attributes.get(dead.name)
        )


def _attributes(queue: sqs.Queue) -> dict[str, str]:
    """Ask SQS at most twice, three seconds each: a person at a screen does not wait as long as a consumer."""
    try:
        return queue.attributes(hurried=True)
    except QueueUnavailable as exc:
        if not error_codes.is_away(exc.code):
            raise
    return queue.attributes(hurried=True)


def _missing(queue: sqs.Queue, *, is_dead_letter_queue: bool) -> Finding:
    return Finding(
        "queue.missing",
        f"There is no queue {queue.name} in {settings.AWS_REGION}.",
        Verdict.ERROR,
        why="What always fails has no place to go, and is received until it expires."
        if is_dead_letter_queue
        else "Nothing can be sent to it or received from it: no email of its events is sent.",
        fix="python manage.py provision",
    )


def _unasked(queue: sqs.Queue, exc: QueueUnavailable) -> Finding:
    if error_codes.is_away(exc.code):
        raise AwsAway(away(f"SQS does not answer: {exc}")) from exc
    if clients.is_not_aws(exc.code):
        raise AwsAway(_not_aws(f"What answers for SQS is not AWS: {exc}")) from exc
    if error_codes.is_about_credentials(exc.code):
        raise AwsAway(_no_credentials(f"SQS does not take the credentials: {exc}")) from exc
    if error_codes.is_denied(exc.code):
        return missing_right(str(exc), otherwise="sqs:GetQueueAttributes", of=f"queue {queue.name}")
    return Finding(
        "queue.unknown",
        f"SQS does not tell of {queue.name}: {exc}",
        Verdict.ERROR,
        why="Nobody knows whether it is set right.",
        fix="Wait a moment and run the doctor again; if it stays, SQS's words above say why.",
    )


def away(what: str) -> Finding:
    """Return the finding that AWS cannot be asked; ``what`` says what happened."""
    return Finding(
        "aws.away",
        what,
        Verdict.ERROR,
        why=_NOTHING_MOVES,
        fix="See that this machine reaches AWS: network, DNS, proxy, VPC endpoint. "
        "AWS_ENDPOINT_URL is for a local AWS only.",
    )


def _not_aws(what: str) -> Finding:
    return Finding(
        "aws.not_aws",
        what,
        Verdict.ERROR,
        why=_NOTHING_MOVES,
        fix="See what answers in its place: a proxy, a firewall, a page to sign in to the network, or the program "
        "at AWS_ENDPOINT_URL, which is for a local AWS only.",
    )


@doctor_check("Consumers")
def consumers() -> Iterable[Finding]:
    """Check that at least one living consumer reads each queue."""
    rows = list(LiveConsumer.objects.with_silence())
    living = [row for row in rows if not row.is_silent and row.kind == LiveConsumer.Kind.CONSUMER]
    for alias in settings.QUEUES:
        yield _served(alias, [row for row in living if alias in row.queues])
    for row in rows:
        if row.is_silent:
            yield _silent(row)
            continue
        for alias, reason in (row.troubles or {}).items():
            yield _not_receiving(row, alias, reason)
    for paused in PausedQueue.objects.all():
        yield Finding(
            "queue.paused",
            f"Queue {paused.alias} is paused by {paused.paused_by}: {paused.reason}",
            Verdict.WARNING,
            why="Its messages wait in SQS until somebody resumes it, at most as long as SQS keeps them.",
            fix="Resume it on the Overview once its reason is gone.",
        )
    releases = {row.release for row in living if row.release}
    if len(releases) > 1:
        yield Finding(
            "consumers.releases",
            f"Consumers of {len(releases)} releases run: {', '.join(sorted(releases))}.",
            Verdict.NOTE,
            why="That is right while a release is rolled out, and wrong for long after it.",
        )


def _served(alias: str, living: list[LiveConsumer]) -> Finding:
    if living:
        count = f"{len(living)} consumer{'' if len(living) == 1 else 's'}"
        return Finding("consumers.alive", f"{count} read{'s' if len(living) == 1 else ''} {alias}.")
    return Finding(
        "consumers.none",
        f"No consumer reads {alias}.",
        Verdict.ERROR,
        why="Its messages wait, and no email of theirs is sent.",
        fix="Start one as a service: python manage.py consume_queue",
    )


def _not_receiving(row: LiveConsumer, alias: str, reason: str) -> Finding:
    return Finding(
        "consumers.not_receiving",
        f"The consumer {row.host}:{row.pid} receives nothing from {alias}: {reason}",
        Verdict.ERROR,
        why="Its messages wait; it asks again after 1 to 30 seconds.",
        fix="See what answers for SQS: its own words are above. An answer that cannot be read comes from a proxy, a "
        "firewall, or the program at AWS_ENDPOINT_URL.",
    )


def _silent(row: LiveConsumer) -> Finding:
    return Finding(
        "consumers.silent",
        f"The {row.kind} {row.host}:{row.pid} has been silent since {row.beat_at:%Y-%m-%d %H:%M:%S} UTC.",
        Verdict.WARNING,
        why="It was killed, hangs, or does not reach the database.",
        fix="Start it again, or forget it on the Overview.",
    )
