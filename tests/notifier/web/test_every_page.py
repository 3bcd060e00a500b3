"""Every page of the admin opens, whatever its rows are: each state of each model, each simulator address, each role.

Pages come from the addresses, states from the models. A new page whose address has a parameter, or a model with a new
set of states, must be named in ``VALUES`` or ``MAKE`` before this passes; all else is covered by itself.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from itertools import cycle, product
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from emails.editing import catalog
from emails.models import (
    Attempt,
    Breaker,
    Canary,
    DeliveryEvent,
    Notification,
    Suppression,
    TemplateVersion,
)
from emails.models.identities import Brand
from emails.models.rehearsals import Rehearsal, RehearsalCase
from emails.models.reputation import Incident
from emails.rendering import templates
from emails.reports import feedback
from emails.reputation import imports
from emails.sending import breakers, guard, trials
from emails.ses import brands
from emails.versions import drafts, in_force, publishing
from notifier.models import LoginFailure
from notifier.overview import reconciliation
from notifier.staff.roles import ROLES
from queues.console import change_url
from queues.doctor import runs
from queues.models import (
    DeadLetter,
    HandlingFailure,
    LiveConsumer,
    OutboxEvent,
    Redrive,
    RedriveItem,
)
from queues.models.doctor_runs import DoctorRun
from sandbox.ses import feedback as simulator
from sandbox.ses.mailbox import Mail
from tests.conftest import SENDER
from tests.support.builders import make_account, make_customer, make_order, make_transaction
from tests.support.living import make_consumer
from tests.support.rows import (
    make_case,
    make_dead_letter,
    make_login_failure,
    make_notification,
    make_outbox_event,
    make_redrive,
    make_rehearsal,
    make_suppression,
    staff,
)

pytestmark = pytest.mark.django_db

# SES developer guide, "Using the mailbox simulator".
SIMULATED = ("success", "bounce", "ooto", "complaint", "suppressionlist")
WHO = ["superuser", *ROLES, "nobody"]
OURS = ("queues", "emails", "notifier")


def unique() -> str:
    return uuid.uuid4().hex


def make_item(**fields: Any) -> RedriveItem:
    letter = make_dead_letter(state="redriven")
    return make_redrive(total=1).items.create(letter=letter, position=1, **fields)


def make_attempt(**fields: Any) -> Attempt:
    row = make_notification(attempts=1)
    return row.attempt_rows.create(number=1, started_at=timezone.now(), **fields)


def make_run(**fields: Any) -> DoctorRun:
    kinds = {"kind": "roundtrip", "arguments": {"alias": "orders"}, "asked_by": "ada"}
    return DoctorRun.objects.create(asked_at=timezone.now(), **kinds | fields)


def make_incident(**fields: Any) -> Incident:
    return make_notification().incidents.create(happened_at=timezone.now(), **fields)


def make_version(**fields: Any) -> TemplateVersion:
    return TemplateVersion.objects.create(
        name="order_confirmation", number=TemplateVersion.objects.count() + 1, files={}, digest=unique(), **fields
    )  # fmt: skip


def make_canary(**fields: Any) -> Canary:
    return Canary.objects.create(
        template=unique(), version=make_version(origin="staff"), stage=1, left=1, stage_at=timezone.now(), **fields
    )  # fmt: skip


# A row of each model that has a field with choices.
MAKE: dict[type[Model], Callable[..., Model]] = {
    Attempt: make_attempt,
    Brand: lambda **fields: Brand.objects.create(
        key=unique()[:30], chosen_by="ada", chosen_at=timezone.now(), **fields
    ),
    Canary: make_canary,
    DeadLetter: make_dead_letter,
    DoctorRun: make_run,
    Incident: make_incident,
    LiveConsumer: make_consumer,
    LoginFailure: lambda **fields: make_login_failure(account=unique(), **fields),
    Notification: make_notification,
    OutboxEvent: make_outbox_event,
    Redrive: make_redrive,
    RedriveItem: make_item,
    Rehearsal: make_rehearsal,
    RehearsalCase: make_case,
    TemplateVersion: make_version,
    Suppression: lambda **fields: make_suppression(address=f"{unique()}@example.com", **fields),
}


def chosen() -> Iterator[tuple[type[Model], str, str]]:
    """Every value of every field with choices, of all models of the platform."""
    for app in OURS:
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.concrete_fields:
                for value, _ in field.choices or ():
                    yield model, field.attname, value


def a_row_in_each_state() -> list[Model]:
    rows = [MAKE[model](**{name: value}) for model, name, value in chosen()]
    rows += [
        make_notification(state="sent", delivery_status=value) for value in Notification.Delivery
    ]
    for letter, outbox in zip(cycle(DeadLetter.State), OutboxEvent.State, strict=False):
        for state in Notification.UNSENT:
            row = make_notification(state=state)
            make_dead_letter(event_id=row.event_id, state=letter)
            make_outbox_event(event_id=row.event_id, state=outbox)
            rows.append(row)
    return rows


def simulated() -> Iterator[Notification]:
    """An email to each address of the simulator, with all that SES reports of it."""
    for name in SIMULATED:
        address = f"{name}@simulator.amazonses.com"
        mail = Mail(b"Subject: s\r\n\r\n", given_source=SENDER, given_recipients=(address,))
        row = make_notification(recipient=address, state="sent", provider_message_id=mail.id)
        told = [simulator.sent(mail, region="eu-west-1")]
        told += simulator.outcomes(mail, region="eu-west-1")
        told += [simulator.opened(mail, address="127.0.0.1", user_agent="x")]
        told += [simulator.clicked(mail, link="/", address="127.0.0.1", user_agent="x")]
        for record in told:
            feedback.take(json.dumps(record))
        yield row


def one_of_all() -> None:
    """A row of each model that has pages, and of what they show."""
    order = make_order()
    make_transaction(account=make_account())
    make_customer()
    event = make_outbox_event(state="dead", subject=order.number)
    letter = make_dead_letter(event_id=event.event_id, fingerprint="f")
    make_notification(event_id=event.event_id, state="pending", attempts=1)
    HandlingFailure.objects.create(
        queue="orders", sqs_message_id="m", event_id=event.event_id, receive_count=1, code="C", reason="r"
    )  # fmt: skip
    make_redrive(total=1).items.create(letter=letter, position=1)
    make_suppression(address="bo@example.com")
    make_login_failure()
    make_consumer()
    DeliveryEvent.objects.create(
        provider_message_id="m", type="Bounce", raw={}, happened_at=timezone.now()
    )
    owner = User.objects.create_user("owner")
    imports.keep(b"x@example.com", name="a.csv", reason="a test", user_id=owner.pk)
    trials.request("ada@example.com", by="ada")
    runs.ask("doctor", {}, by="ada")
    for name in ("order_confirmation", "partials/layout"):
        files = in_force.sources(name)
        publishing.publish(name, files, by="ada", why="a test")
        drafts.save(name, publishing.own_files(files), by="ada", why="", revision=0)
        make_case(rehearsal=make_rehearsal(name=name))
    LogEntry.objects.create(
        user=owner, content_type=ContentType.objects.get_for_model(letter), object_id=str(letter.pk),
        object_repr="x", action_flag=CHANGE, change_message="Redriven.",
    )  # fmt: skip


def keys(model: type[Model]) -> list[Any]:
    return list(model._default_manager.values_list("pk", flat=True)[:1])


# The values of each parameter of an address, by the parameter's name, or by the address's name if that is not enough.
VALUES: dict[str, Callable[[], list[Any]]] = {
    "app_label": lambda: sorted({model._meta.app_label for model in admin.site._registry}),
    "age": lambda: [reconciliation.AGES[0].name],
    "alias": lambda: list(settings.QUEUES),
    "consumer-forget": lambda: keys(LiveConsumer),
    "doctor-run": lambda: keys(DoctorRun),
    "doctor-run-progress": lambda: keys(DoctorRun),
    "emails_identity_brand": brands.known,
    "emails_identity_change": lambda: [SENDER, "unknown.example"],
    "emails_identity_progress": lambda: [SENDER],
    "emails_identity_sender": brands.known,
    "emails_identity_sender_reset": brands.known,
    "emails_identity_trial": lambda: _events(type=trials.TYPE),
    "emails_identity_trial_progress": lambda: _events(type=trials.TYPE),
    "name": lambda: ["order_confirmation", "partials/layout"],
    "outcome": lambda: RehearsalCase.Outcome.values,
    "emails_suppression_import_preview": lambda: keys(apps.get_model("emails.SuppressionImport")),
    "emails_emailtemplate_change": catalog.names,
    "emails_emailtemplate_sender": templates.names,
    "event_id": lambda: _events(subject="ORD-000001"),
    "number": lambda: [1],
    # Of a saved filter.
    "pk": lambda: [1],
    "queues_deadletter_edit": lambda: keys(DeadLetter),
    "key": lambda: ["f"],
    "queues_redrive_progress": lambda: keys(Redrive),
    "subject": lambda: ["ORD-000001"],
    "why": lambda: [why.name for why in reconciliation.reasons()],
}


def _events(**fields: Any) -> list[Any]:
    return list(OutboxEvent.objects.filter(**fields).values_list("event_id", flat=True)[:1])


def addresses() -> Iterator[tuple[str, str, list[str]]]:
    """The route, the name and the parameters of every page of the admin."""
    reverse("admin:index")
    yield from _addresses(get_resolver().url_patterns, "")


def _addresses(patterns: Any, before: str) -> Iterator[tuple[str, str, list[str]]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern.url_patterns, route)
        # Django's own: redirects, and all that is no address.
        elif (
            isinstance(pattern, URLPattern)
            and route.startswith("admin/")
            and not route.startswith("admin/r/")
            and not route.endswith("/<path:object_id>/")
            and "(?P<url>" not in route
        ):
            route = re.sub(r"\^?\(\?P(<\w+>)[^)]*\)/?\$?", r"\1/", route)
            yield route, pattern.name or "", re.findall(r"<(?:\w+:)?(\w+)>", route)


def pages() -> Iterator[str]:
    """Every page of the admin, for the rows that there are."""
    models = {model._meta.label_lower.replace(".", "/"): model for model in admin.site._registry}
    for route, name, parameters in addresses():
        model = models.get("/".join(route.split("/")[1:3]))
        given = [_values(name, parameter, model) for parameter in parameters]
        for values in product(*given):
            yield "/" + _filled(route, dict(zip(parameters, map(str, values), strict=True)))


def _values(name: str, parameter: str, model: type[Model] | None) -> list[Any]:
    known = VALUES.get(name) or VALUES.get(parameter)
    assert known or (model and parameter in ("object_id", "id")), f"VALUES lacks {name} {parameter}"
    values = list(known()) if known else keys(model) if model else []
    assert values, f"{name}: there is nothing to show"
    return values


def _filled(route: str, parts: dict[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: parts[found[1]], route)


def log_in(client: Any, who: str) -> None:
    if who == "superuser":
        client.force_login(User.objects.create_superuser("root"))
    else:
        client.force_login(staff(role="" if who == "nobody" else who))


def fault(response: Any, address: str) -> str:
    """What is wrong with the answer; empty if nothing is. A page may be for others, be posted to, or lead on."""
    is_list_of_nothing = re.fullmatch(r"/admin/\w+/", address) and response.status_code == 404
    if response.status_code not in (200, 302, 403, 405) and not is_list_of_nothing:
        return f"{address}: {response.status_code}"
    text = "" if response.streaming else response.content.decode()
    # What an email's own template or data says is quoted.
    text = re.sub(r'(?s)<(pre|textarea|script)\b.*?</\1>|srcdoc="[^"]*"', "", text)
    left = re.search(r"\{\{.{0,60}|\{%.{0,60}|>\s*None\s*<.{0,40}|<[\w.]+ object at .{0,40}", text)
    return f"{address}: {left[0]}" if left and response.status_code == 200 else ""


@pytest.fixture
def get(client):
    """Open a page; an error is told with the page's address."""

    def ask(address):
        client.raise_request_exception = False
        with transaction.atomic():
            return fault(client.get(address), address)

    return ask


def test_every_model_with_states_has_a_row_here():
    assert {model for model, _, _ in chosen()} <= MAKE.keys()


@pytest.mark.parametrize("who", WHO)
def test_every_page_opens_for_every_role(client, aws, get, who):
    one_of_all()
    log_in(client, who)

    faults = [get(address) for address in pages()]

    assert list(filter(None, faults)) == []
    assert len(faults) > 100


@pytest.mark.parametrize("who", ["superuser", "auditor"])
def test_every_row_opens_in_every_state(client, get, who):
    rows = [*a_row_in_each_state(), *simulated(), *DeliveryEvent.objects.all()]
    log_in(client, who)
    shown = [row for row in rows if type(row) in admin.site._registry]
    events = {found for row in rows if (found := getattr(row, "event_id", None))}

    faults = [get(change_url(row)) for row in shown]
    faults += [get(reverse("timeline", args=[event_id])) for event_id in events]
    faults += [get(f"/{route}") for route, _, parameters in addresses() if not parameters]

    assert list(filter(None, faults)) == []


@pytest.mark.parametrize("name", breakers.PROBE_SECONDS)
def test_every_page_of_the_console_opens_while_nothing_is_sent(client, aws, get, name):
    Breaker.objects.create(name=name, is_open=True, code="C", reason="r", opened_at=timezone.now())
    guard.stop(reason="a test")
    one_of_all()
    log_in(client, "superuser")

    faults = [
        get(reverse(page))
        for page in ("admin:index", "overview-live", "admin:emails_guard_changelist")
    ]

    assert list(filter(None, faults)) == []
