"""The answers that probes and people get, also while the database is away."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from orders.models import Order
from queues.models import OutboxEvent
from tests.support.builders import make_product, shipping

pytestmark = pytest.mark.django_db

GONE = OperationalError("could not connect to server db.internal as shop")


def refusing(exc: Exception, *, table: str = ""):
    """A database that refuses everything, or what concerns one table."""

    def refuse(execute, sql, params, many, context):
        if table in sql:
            raise exc
        return execute(sql, params, many, context)

    return connection.execute_wrapper(refuse)


def test_process_that_answers_is_alive_whatever_the_database_does(client):
    with refusing(GONE):
        response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"process": "ok"})


def test_process_with_its_database_is_ready(client):
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"database": "ok", "migrations": "ok"}


@pytest.mark.parametrize("exc", [GONE, InterfaceError("connection already closed")])
def test_process_without_its_database_is_not_ready_and_tells_strangers_no_names(client, exc):
    with refusing(exc):
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"database": "does not answer", "migrations": "unknown"}


def test_process_is_not_ready_before_its_migrations(client):
    MigrationRecorder(connection).record_unapplied("queues", "0001_initial")

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["migrations"] == "1 not applied; run: manage.py migrate"


def test_older_release_beside_a_newer_database_is_ready(client):
    MigrationRecorder(connection).record_applied("queues", "9999_of_a_later_release")

    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_come_by_plain_http_under_any_name_and_from_no_cache(settings, path):
    settings.SECURE_SSL_REDIRECT = True

    response = Client().get(path, headers={"host": "10.1.2.3:8000"})

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert Client().post(path).status_code == 405


def test_readiness_costs_a_handful_of_queries(client, django_assert_max_num_queries):
    client.get("/readyz")

    with django_assert_max_num_queries(3):
        client.get("/readyz")


@pytest.mark.parametrize(
    "exc",
    [GONE, OperationalError("database is locked"), InterfaceError("connection already closed")],
)
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", "We can't take orders at the moment"),
        ("/admin/login/", "The database does not answer"),
        ("/admin/queues/outboxevent/", "The database does not answer"),
    ],
)
def test_page_says_when_to_try_again_while_the_database_is_away(admin_client, exc, path, words):
    with refusing(exc):
        response = admin_client.get(path)

    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert words in response.text
    assert "db.internal" not in response.text


def order_form(key="6b6dd48a-54f5-43f1-ae5c-6a3ddc4b5a3c"):
    product = make_product()
    return shipping() | {f"quantity-{product.pk}": "2", "idempotency_key": key}


def test_order_that_no_disk_takes_is_refused_whole_and_taken_when_sent_again(client):
    fields = order_form()

    full = OperationalError("database or disk is full")
    with refusing(full, table='INSERT INTO "queues_outboxevent"'):
        refused = client.post("/", fields)
    assert refused.status_code == 503
    assert not Order.objects.exists()
    assert not OutboxEvent.objects.exists()

    assert client.post("/", fields).status_code == 302
    assert Order.objects.count() == OutboxEvent.objects.count() == 1


def test_order_whose_answer_is_lost_after_its_commit_is_the_same_when_sent_again(client):
    client.raise_request_exception = False
    fields = order_form()

    with refusing(GONE, table="django_session"):
        answered = client.post("/", fields)
    assert (answered.status_code, answered["Retry-After"]) == (503, "10")
    assert Order.objects.count() == 1

    assert client.post("/", fields).status_code == 302
    assert Order.objects.count() == 1
