"""Suppressions of addresses in all their spellings, and how older rows are brought in line."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.reputation import csv_files, ses_sync, support, suppressions
from emails.reputation.suppressions import Entry, News, Source
from emails.ses import ses_api, suppression_list
from emails.ses.suppression_list import Listed
from queues import addresses
from tests.support.owed import owed, placed

pytestmark = pytest.mark.django_db

State = Suppression.State
migration = import_module("emails.migrations.0018_address_keys")
IDN, ASCII = "ada@bücher.example", "ada@xn--bcher-kva.example"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def old_row(address, **fields):
    """A row as an earlier release saved it: as it was typed."""
    row = Suppression.objects.create(
        **{
            "address": f"{Suppression.objects.count()}@example.com",
            "source": Source.BOUNCE,
            "since": LONG_AGO,
        }
        | fields
    )
    Suppression.objects.filter(pk=row.pk).update(address=address)
    return row


def entry(address, source=Source.STAFF):
    return Entry(address, source, "they asked", "kim")


def test_spellings_of_one_address_become_one_row():
    counts = suppressions.add(
        [entry(IDN), entry(ASCII), entry("ADA@BÜCHER.example")], reactivate=True
    )

    assert counts == (1, 0)
    assert Suppression.objects.get().address.lower() == ASCII


def test_another_spelling_suppresses_a_lifted_address_again():
    suppressions.add([entry(ASCII)], reactivate=True)
    suppressions.lift(Suppression.objects.all())

    assert suppressions.add([entry(IDN)], reactivate=True) == (0, 1)
    assert Suppression.objects.get().state == State.ACTIVE


def test_import_finds_the_address_that_is_listed_in_another_spelling():
    suppressions.add([entry(ASCII)], reactivate=True)

    found = csv_files.read(
        f"address\n{IDN}\nada@exam\u00adple.com\u200b\n".encode(), reason="", by="kim"
    )
    counts = suppressions.add(found.entries, reactivate=False)

    assert counts == (1, 0)
    assert suppressions.listed(["Ada@Example.com", "eve@example.com"]) == {"ada@example.com"}


def test_bounce_of_an_email_is_known_in_every_spelling():
    notification = owed(placed(recipient=IDN))
    suppressions.learn([News(entry(IDN, Source.BOUNCE), notification.pk, timezone.now())])
    suppressions.learn([News(entry(ASCII, Source.COMPLAINT), notification.pk, timezone.now())])

    assert Suppression.objects.get().source == Source.COMPLAINT
    assert suppressions.listed([IDN]) == suppressions.listed([ASCII]) == {ASCII}


def test_list_of_ses_names_the_same_address():
    suppressions.add([entry(IDN)], reactivate=True)

    ses_sync._learn(
        [Listed("Ada@XN--BCHER-KVA.example", "BOUNCE", timezone.now())], met_at=timezone.now()
    )

    assert Suppression.objects.get().ses_seen_at is not None


def test_ses_is_asked_about_the_deliverable_address(monkeypatch):
    asked = []

    class Client:
        def ask(self, **options):
            asked.append(options["EmailAddress"])
            entry = {"EmailAddress": "a@b.example", "Reason": "BOUNCE", "LastUpdateTime": LONG_AGO}
            return {"SuppressedDestination": entry}

        put_suppressed_destination = get_suppressed_destination = ask
        delete_suppressed_destination = ask

    monkeypatch.setattr(ses_api, "api_v2", Client)

    suppression_list.put(IDN, "BOUNCE")
    suppression_list.get("Ada@straße.example")
    suppression_list.delete("ada@exam\u00adple.com")

    assert asked == [
        ASCII, "Ada@xn--strae-oqa.example", "ada@example.com",
    ]  # fmt: skip


def test_emails_to_an_address_are_found_in_every_spelling():
    owed(placed(recipient=IDN))
    owed(placed(recipient="Ada@Example.com"))

    assert Notification.objects.to(ASCII).count() == 1
    assert Notification.objects.to("ADA@BÜCHER.example").count() == 1
    assert Notification.objects.to("ada@ｅxample.com").count() == 1
    assert Notification.objects.to("ada@bucher.example").count() == 0


def test_customer_is_told_of_once_an_hour_in_whatever_spelling():
    assert support._duty(addresses.key(IDN)) == support._duty(addresses.key(ASCII))


def test_older_rows_get_the_form_that_is_compared():
    old_row(IDN)
    old_row("ada@exam\u00adple.com")
    kept = old_row("Eve@Example.COM")

    migration.bring_suppressions_in_line(apps, None)

    assert suppressions.listed([ASCII, "ada@example.com"]) == {ASCII, "ada@example.com"}
    kept.refresh_from_db()
    assert kept.address == "Eve@Example.COM"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"state": State.ACTIVE}, {"state": State.LIFTED, "source": Source.COMPLAINT}),
        (
            {"source": Source.COMPLAINT, "since": LONG_AGO + timedelta(days=9)},
            {"source": Source.BOUNCE},
        ),
        ({"since": LONG_AGO}, {"since": LONG_AGO + timedelta(days=9)}),
    ],
)
@pytest.mark.parametrize(
    "spellings", [(IDN, ASCII), (ASCII, IDN), (IDN, "ada@bu\u0308cher.example")]
)
def test_older_rows_of_one_address_become_the_graver_one(one, other, spellings):
    graver, milder = old_row(spellings[0], **one), old_row(spellings[1], **other)

    migration.bring_suppressions_in_line(apps, None)
    migration.bring_suppressions_in_line(apps, None)

    row = Suppression.objects.get()
    assert (row.pk, row.address) == (graver.pk, ASCII)
    assert not Suppression.objects.filter(pk=milder.pk).exists()


def test_older_emails_get_their_keys_in_batches(monkeypatch):
    monkeypatch.setattr("queues.online_migrations.BATCH", 2)
    rows = [owed(placed(recipient=f"{number}@bücher.example")) for number in range(5)]
    plain = owed(placed(recipient="ada@example.com"))
    Notification.objects.update(recipient_key=None)

    migration.fill_keys(apps, None)

    keys = dict(Notification.objects.values_list("pk", "recipient_key"))
    assert [keys[row.pk] for row in rows] == [
        f"{number}@xn--bcher-kva.example" for number in range(5)
    ]
    assert keys[plain.pk] is None
