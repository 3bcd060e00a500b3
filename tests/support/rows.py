"""One row of each kind that staff look at, as they are while something is wrong."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.utils import timezone

from emails.models import Notification, Rehearsal, RehearsalCase, Suppression, TemplateDraft
from emails.rehearsal import jobs
from emails.rendering import templates
from emails.versions import drafts
from notifier.models import LoginFailure
from queues.models import DeadLetter, OutboxEvent, Redrive


def staff(*permissions: str, role: str = "") -> User:
    """A user with these permissions, by codename, and this role."""
    user = User.objects.create_user(f"staff-{uuid.uuid4()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    if role:
        user.groups.set([Group.objects.get(name=role)])
    return user


def make_dead_letter(**fields: Any) -> DeadLetter:
    """An open dead letter."""
    defaults: dict[str, Any] = {
        "queue": "orders",
        "sqs_message_id": str(uuid.uuid4()),
        "event_id": uuid.uuid4(),
        "type": "order.placed.v1",
        "subject": "ORD-000001",
        "body": json.dumps({"specversion": "1.0", "data": {}}),
        "code": "MessageRejected",
        "reason": "Email address is not verified: ada@example.com",
        "receive_count": 3,
    }
    return DeadLetter.objects.create(**defaults | fields)


def make_outbox_event(**fields: Any) -> OutboxEvent:
    """An event that SQS has."""
    defaults: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "type": "order.placed.v1",
        "subject": "ORD-000001",
        "queue": "orders",
        "body": json.dumps({"specversion": "1.0", "data": {}}),
        "available_at": timezone.now(),
        "state": OutboxEvent.State.PUBLISHED,
    }
    return OutboxEvent.objects.create(**defaults | fields)


def make_notification(**fields: Any) -> Notification:
    """An email in doubt."""
    defaults: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "event_type": "order.placed.v1",
        "event_source": "/orders",
        "subject": "ORD-000001",
        "template": "order_confirmation",
        "recipient": "ada@example.com",
        "context": templates.sample("order_confirmation").data,
        "next_at": timezone.now(),
        "state": Notification.State.IN_DOUBT,
    }
    return Notification.objects.create(**defaults | fields)


def make_redrive(**fields: Any) -> Redrive:
    """One that consumers are about to begin."""
    defaults: dict[str, Any] = {
        "key": str(uuid.uuid4()),
        "started_by": "ada",
        "next_at": timezone.now(),
    }
    return Redrive.objects.create(**defaults | fields)


def make_login_failure(**fields: Any) -> LoginFailure:
    """An account that is locked for whoever tried it from one address."""
    defaults: dict[str, Any] = {
        "account": "ada@example.com",
        "origin": "203.0.113.7",
        "failures": 5,
        "state": LoginFailure.State.LOCKED,
    }
    return LoginFailure.objects.create(**defaults | fields)


def make_suppression(**fields: Any) -> Suppression:
    """Ada's address, after a bounce."""
    defaults: dict[str, Any] = {
        "address": "ada@example.com",
        "source": Suppression.Source.BOUNCE,
        "reason": "550 5.1.1 user unknown: ada@example.com",
        "since": timezone.now(),
    }
    return Suppression.objects.create(**defaults | fields)


def make_rehearsal(**fields: Any) -> Rehearsal:
    """One of a draft that changes the subject, as it is when somebody has asked for it."""
    name = "order_confirmation"
    before = templates.sources(name)
    after = before | {"subject.hbs": "New"}
    draft, _ = TemplateDraft.objects.get_or_create(
        name=name, defaults={"files": after, "by": "ada"}
    )
    defaults: dict[str, Any] = {
        "name": name,
        "revision": draft.revision,
        "plan": {name: {"before": before, "after": after}},
        "asked_by": "ada",
        "until": timezone.now(),
        "next_at": timezone.now(),
    }
    return Rehearsal.objects.create(**defaults | fields)


def make_case(**fields: Any) -> RehearsalCase:
    """An email that the draft of a rehearsal changes."""
    defaults: dict[str, Any] = {
        "rehearsal": fields.pop("rehearsal", None) or make_rehearsal(),
        "template": "order_confirmation",
        "kind": RehearsalCase.Kind.EVENT,
        "outcome": RehearsalCase.Outcome.CHANGED,
        "source": make_notification().pk,
        "subject": "ORD-000001",
        "happened_at": timezone.now(),
    }
    return RehearsalCase.objects.create(**defaults | fields)


def rehearsed(draft: TemplateDraft | str) -> Rehearsal:
    """Rehearse a draft, or that of this name, to the end."""
    found = drafts.of(draft) if isinstance(draft, str) else draft
    assert found
    rehearsal = jobs.ask(found, by="ada")
    # Where transactions are committed, a thread may have taken it.
    while not rehearsal.ended_at:
        jobs.advance()
        rehearsal.refresh_from_db()
    assert not rehearsal.error
    return rehearsal


def forget_statistics() -> None:
    """Forget what ANALYZE found: it would mislead tests of the plans of empty tables.

    SQLite keeps it in the connection, even if a transaction is rolled back that wrote it into a table of its own.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sqlite_stat1")
            # Read them anew.
            cursor.execute("ANALYZE sqlite_master")
