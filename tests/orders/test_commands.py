"""``manage.py post_transaction`` and ``manage.py load_demo``."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from orders.models import BankAccount, Customer, Product, Transaction
from queues.models import OutboxEvent
from tests.support.builders import make_account

pytestmark = pytest.mark.django_db


def test_post_transaction_prints_reference_and_event(capsys):
    account = make_account()

    call_command("post_transaction", account.number, "deposit", "150", description="Salary")

    posted, event = Transaction.objects.get(), OutboxEvent.objects.get()
    assert posted.description == "Salary"
    printed = capsys.readouterr().out
    assert printed == f"{posted.reference}: balance $150.00, event {event.event_id}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["withdrawal", "1"], "less than"),
        (["deposit", "-1"], "greater than or equal to 0.01"),
        (["deposit", "0.001"], "no more than 2 decimal places"),
        (["deposit", "NaN"], "is not an amount"),
        (["deposit", "ten"], "is not an amount"),
        (["gift", "1"], "invalid choice"),
        (["deposit", "1", "--currency", "EUR"], "kept in USD"),
        (["deposit", "1", "--description", "a\nb"], "one line"),
    ],
)
def test_post_transaction_says_why_not(arguments, reason):
    account = make_account()

    with pytest.raises(CommandError, match=reason):
        call_command("post_transaction", account.number, *arguments)

    assert not OutboxEvent.objects.exists()


def test_post_transaction_names_the_unknown_account():
    with pytest.raises(CommandError, match="no account with the number 123"):
        call_command("post_transaction", "123", "deposit", "1")


def test_load_demo_runs_twice_and_makes_everything_once(settings, client, capsys):
    settings.DEBUG = True

    call_command("load_demo")
    BankAccount.objects.update(holder_name="Changed")
    call_command("load_demo")

    assert Product.objects.count() == 8
    assert Customer.objects.filter(email_verified_at=None).count() == 1
    assert set(BankAccount.objects.values_list("holder_name", flat=True)) == {"Changed"}
    assert BankAccount.objects.get(currency="USD").balance == Decimal("2500.00")
    assert client.login(username="admin", password="admin")
    assert "kept login admin" in capsys.readouterr().out


def test_load_demo_refuses_outside_development(settings):
    settings.DEBUG = False

    with pytest.raises(CommandError, match="DEBUG=on"):
        call_command("load_demo")

    assert not User.objects.exists()
