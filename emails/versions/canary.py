"""Let a version go to 1, 10 and 100 emails before all: the next stage begins when those of the last one were accepted.

``emails.sending`` gives the places (``emails.versions.places``) and ends a canary whose version does not render, or
whose email SES refuses. A canary whose email bounces is parked: a person looks at it and lets it go on, or ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TypedDict

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from emails.errors import NoCanary
from emails.models import Canary, CanaryEmail, EmailTemplate, Notification
from emails.versions import drafts, in_force, places, publishing
from queues.failpoints import failpoint
from queues.registry import watches
from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)

State = Canary.State
Emails = Notification.State
Delivery = Notification.Delivery

# How many emails have the version in all, stage by stage.
STAGES = (1, 10, 100)
# An email that still waits to be sent after this time gives its place back; a stage that lasts longer is announced.
PATIENCE = timedelta(minutes=10)
# Reports after which a person should look at the text before more people get it.
_TROUBLE = (Delivery.BOUNCED_SOFT, Delivery.BOUNCED_HARD, Delivery.COMPLAINED)
# Emails in these states are not sent, or not soon; if they are after all, it is with the version in force.
_WITHDRAWN = (Emails.SUPPRESSED, Emails.CANCELLED, Emails.KEPT, Emails.FAILED)


class Progress(TypedDict):
    """How many emails of a canary fulfil its condition, are in doubt, and are still on their way."""

    done: int
    in_doubt: int
    waiting: int


def start(
    name: str,
    files: Mapping[str, str],
    *,
    by: str,
    why: str,
    needs: Canary.Needs = Canary.Needs.ACCEPTED,
    revision: int | None = None,
) -> Canary:
    """Make a version of these files and give it to the next email; raises as ``publishing.publish``, and NoCanary."""
    if name.startswith("partials/"):
        raise NoCanary(
            "A partial is part of many templates. Publish it, or try it in one template."
        )
    if needs == Canary.Needs.DELIVERED and not settings.SES_EVENTS_TOPIC:
        raise NoCanary("SES does not tell us of deliveries. Let the stages wait for acceptance.")
    with transaction.atomic():
        publishing.decide(name, revision)
        version = publishing.make(name, files, by=by, why=why)
        if version.files == in_force.sources(name):
            raise NoCanary(f"This text is in force already: {version}.")
        publishing.end_canary(name, note=f"{by} started another one.")
        canary = Canary.objects.create(
            template=name,
            version=version,
            needs=needs,
            stage=STAGES[0],
            left=STAGES[0],
            stage_at=Now(),
            by=by,
            why=why,
        )
        EmailTemplate.objects.filter(name=name).update(
            canary=canary, revision=F("revision") + 1, by=by, why=why
        )
        failpoint("canary_started")
    in_force.forget()
    logger.warning("canary started name=%s version=%d", name, version.number)
    return canary


def start_draft(name: str, *, by: str, why: str, needs: Canary.Needs, revision: int) -> Canary:
    """Start a canary of the draft, which stays until it is published; raises as ``drafts.publish``, and NoCanary."""
    with transaction.atomic():
        draft = drafts.ready(name, by=by, revision=revision)
        return start(name, draft.files, by=by, why=why, needs=needs)


def go_on(canary: Canary, *, by: str) -> bool:
    """Begin the next stage now, or resume a parked canary in its stage; False if it is over."""
    with transaction.atomic():
        row = _locked(canary.pk)
        if row is None:
            return False
        if row.state == State.PARKED:
            row.emails.update(is_excused=True)
            row.state, row.note, row.event_id = State.RUNNING, "", None
            row.save(update_fields=["state", "note", "event_id"])
        else:
            _rise(row, by=by)
    in_force.forget()
    return True


def go_back(canary: Canary, *, by: str, why: str) -> bool:
    """End the canary: emails get the version in force again; False if it is over."""
    with transaction.atomic():
        publishing.lock()
        is_news = places.end(canary.pk, State.ENDED, note=f"{by}: {why}")
        failpoint("canary_ended")
    in_force.forget()
    return is_news


def progress(canary: Canary) -> Progress:
    """Count what became of the emails that have a place."""
    rows = list(_emails(canary))
    return {
        "done": sum(_is_done(canary, row) for row in rows),
        "in_doubt": sum(row.state == Emails.IN_DOUBT for row in rows),
        "waiting": sum(row.state in (Emails.PENDING, Emails.SENDING) for row in rows),
    }


@watches
def look_at_all() -> int:
    """Look at each open canary; returns how many moved on."""
    running = Canary.objects.filter(state=State.RUNNING).values_list("pk", flat=True)
    return sum(look(pk) for pk in running)


@by_one_thread
def look(canary: int) -> bool:
    """Begin the next stage, park the canary, or end it, if its emails say so; returns True if something changed."""
    with transaction.atomic():
        row = _locked(canary)
        is_news = row is not None and row.state == State.RUNNING and _judged(row)
    if is_news:
        in_force.forget()
    return is_news


def _judged(canary: Canary) -> bool:
    rows = {row.pk: row for row in _emails(canary)}
    excused = set(canary.emails.filter(is_excused=True).values_list("notification_id", flat=True))
    for pk, row in rows.items():
        if row.delivery_status == Delivery.REJECTED:
            note = "SES rejected an email after it had accepted it."
            return places.end(canary.pk, State.WENT_BACK, note=note, event_id=row.event_id)
        if row.delivery_status in _TROUBLE and pk not in excused:
            return _park(canary, row)
    if withdrawn := [pk for pk, row in rows.items() if _is_withdrawn(canary, row)]:
        canary.emails.filter(notification_id__in=withdrawn).delete()
        Canary.objects.filter(pk=canary.pk).update(left=F("left") + len(withdrawn))
        return True
    done = sum(_is_done(canary, row) or pk in excused for pk, row in rows.items())
    if canary.left or done < canary.stage:
        return False
    _rise(canary, by=canary.by)
    return True


def _rise(canary: Canary, *, by: str) -> None:
    """Begin the next stage; after the last one the version is published."""
    after = [stage for stage in STAGES if stage > canary.stage]
    if not after:
        places.end(canary.pk, State.PUBLISHED, note="All its emails went well.")
        publishing.put_in_force(canary.template, canary.version, by=by, why=canary.why)
        drafts.end_if(canary.template, publishing.own_files(canary.version.files))
        failpoint("canary_published")
        return
    canary.left += after[0] - canary.stage
    canary.stage, canary.stage_at = after[0], timezone.now()
    canary.save(update_fields=["left", "stage", "stage_at"])
    failpoint("canary_risen")
    logger.info("canary stage canary=%d emails=%d", canary.pk, canary.stage)


def _park(canary: Canary, email: Notification) -> bool:
    status = email.get_delivery_status_display()
    canary.state, canary.event_id = State.PARKED, email.event_id
    canary.note = f"{status}: {email.delivery_reason or 'SES gives no reason'}"
    canary.save(update_fields=["state", "event_id", "note"])
    logger.error("canary parked canary=%d event=%s", canary.pk, email.event_id)
    return True


def _locked(canary: int) -> Canary | None:
    """Return the canary, if it is open, with its template's row and its own locked in that order."""
    publishing.lock()
    list(EmailTemplate.objects.select_for_update().filter(canary=canary))
    return (
        Canary.objects.select_for_update(of=("self",))
        .select_related("version")
        .filter(pk=canary, state__in=Canary.OPEN)
        .first()
    )


def _emails(canary: Canary) -> list[Notification]:
    keys = CanaryEmail.objects.filter(canary=canary).values_list("notification_id", flat=True)
    return list(Notification.objects.filter(pk__in=list(keys)).order_by("id"))


def _is_done(canary: Canary, email: Notification) -> bool:
    if canary.needs == Canary.Needs.DELIVERED:
        return email.delivery_status == Delivery.DELIVERED
    return email.state == Emails.SENT


def _is_withdrawn(canary: Canary, email: Notification) -> bool:
    """Return True if the email's place goes to another: it is not sent, or not soon, or SES did not try to deliver.

    One in doubt keeps its place until that ends: it may have been sent.
    """
    if email.state in _WITHDRAWN:
        return True
    if canary.needs == Canary.Needs.DELIVERED and email.delivery_status == Delivery.SUPPRESSED:
        return True
    started = email.attempt_started_at
    return (
        email.state == Emails.PENDING
        and started is not None
        and started < timezone.now() - PATIENCE
    )
