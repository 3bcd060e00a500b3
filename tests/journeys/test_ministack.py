"""The journeys of the product on an AWS that is not ours, by AWS_ENDPOINT_URL alone."""

import json
import re
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest

from emails.models import Notification, Suppression
from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from tests.support.aws import ministack as emulator
from tests.support.builders import (
    make_account,
    make_order,
    make_product,
    make_transaction,
    shipping,
)
from tests.support.processes import Platform, wait_until

pytestmark = pytest.mark.processes

ADA = "ada@example.com"
SHOP = "shop@example.com"


@pytest.fixture(scope="module")
def ministack():
    if not emulator.PROGRAM.exists():
        pytest.skip("there is no ministack: make .venv-ministack/.installed")
    with emulator.running() as running:
        running.client("ses").verify_email_identity(EmailAddress=SHOP)
        yield running


@pytest.fixture
def platform(transactional_db, ministack, tmp_path):
    """Queues, dead-letter queues and the way back from SES; topics and an archive besides."""
    platform = Platform(ministack, tmp_path)
    name = platform.environment["QUEUE_ORDERS"]
    platform.environment |= {
        "TOPIC_ORDERS": f"{name}-facts",
        "TOPIC_TRANSACTIONS": f"{name}-facts.fifo",
        "ARCHIVE_QUEUE": f"{name}-archive",
        "ARCHIVE_FOLDER": str(tmp_path / "archive"),
    }
    platform.provision()
    yield platform
    platform.kill_all()


def someone():
    """An address of this test's own: what ministack took from the others it does not forget."""
    return f"somebody-{time.time_ns()}@example.org"


def all_are_handled():
    return not OutboxEvent.objects.exclude(state=OutboxEvent.State.HANDLED).exists()


def test_order_in_the_web_form_becomes_a_mail(platform, ministack):
    product, customer = make_product(name="Brass bell"), someone()
    base = platform.web()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = browser.open(f"{base}/").read().decode()
    hidden = dict(re.findall(r'name="(csrfmiddlewaretoken|idempotency_key)" value="([^"]+)"', page))

    fields = shipping(customer_email=customer) | hidden | {f"quantity-{product.pk}": "2"}
    answer = browser.open(f"{base}/", urllib.parse.urlencode(fields).encode())
    assert platform.manage("consume_queue", "--until-empty").wait() == 0

    [number] = re.findall("ORD-[0-9]+", answer.url)
    assert ministack.subjects(to=customer) == [f"Your order {number} is confirmed"]
    assert "Sent." in browser.open(f"{answer.url}email/").read().decode()


def test_topic_hands_events_to_their_emails_in_order_and_to_the_archive(
    platform, ministack, tmp_path
):
    accounts = [make_account(holder_email=someone(), balance="0") for _ in range(2)]
    for number in range(1, 8):
        for account in accounts:
            make_transaction(account=account, amount=f"{number}.00")
    make_order(customer_email=someone())

    for arguments in (("consume_queue",), ("archive_events",)):
        assert platform.manage(*arguments, "--until-empty").wait() == 0

    for account in accounts:
        subjects = ministack.subjects(to=account.holder_email)
        assert [re.findall(r"\$(\d)\.00", subject) for subject in subjects] == [
            [str(number)] for number in range(1, 8)
        ]
    [archive] = (tmp_path / "archive").glob("*.ndjson")
    lines = [json.loads(line)["id"] for line in archive.read_text().splitlines()]
    assert sorted(lines) == sorted(map(str, OutboxEvent.objects.values_list("event_id", flat=True)))


def test_dead_letters_are_collected_and_sent_once_after_their_redrive(platform, ministack):
    customer = someone()
    order = make_order(customer_email=customer)
    make_transaction(account=make_account(holder_email=customer, balance="0"), amount="3.00")
    ministack.require_verified_recipients(True)
    platform.consumer()
    wait_until(lambda: DeadLetter.objects.count() == 2, what="two dead letters")
    assert all(customer in letter.reason for letter in DeadLetter.objects.all())

    ministack.require_verified_recipients(False)
    decisions.redrive(DeadLetter.objects.all())

    wait_until(lambda: len(ministack.subjects(to=customer)) > 1, what="both emails")
    wait_until(all_are_handled, what="the redriven events handled")
    assert sorted(ministack.subjects(to=customer)) == [
        "Transaction Alert: $3.00 credited",
        f"Your order {order.number} is confirmed",
    ]


def test_bounce_and_complaint_come_home_by_the_topic_of_the_sender(platform, ministack):
    platform.environment["SES_FROM_EMAIL"] = sender = someone()
    # It tells these topics only of emails of version 1.
    platform.environment["USE_SES_V2"] = "off"
    ses, sns = ministack.client("ses"), ministack.client("sns")
    topic = sns.create_topic(Name=platform.environment["SES_EVENTS_TOPIC"])["TopicArn"]
    ses.verify_email_identity(EmailAddress=sender)
    for kind in ("Bounce", "Complaint", "Delivery"):
        ses.set_identity_notification_topic(Identity=sender, NotificationType=kind, SnsTopic=topic)
    for name in ("success", "bounce", "complaint"):
        make_order(customer_email=f"{name}@simulator.amazonses.com")

    platform.consumer()
    wait_until(lambda: Suppression.objects.count() == 2, what="two suppressed addresses")

    wait_until(
        lambda: (
            set(Notification.objects.values_list("recipient", "delivery_status"))
            == {
                ("success@simulator.amazonses.com", Notification.Delivery.DELIVERED),
                ("bounce@simulator.amazonses.com", Notification.Delivery.BOUNCED_HARD),
                ("complaint@simulator.amazonses.com", Notification.Delivery.COMPLAINED),
            }
        ),
        what="each email's fate",
    )


def test_round_trip_finds_every_promise_of_a_fifo_queue_kept(platform):
    trip = platform.manage("roundtrip", "transactions")

    assert trip.wait() == 0, trip.output
    assert all(step in trip.output for step in ("ok     order", "ok     deduplication"))


def test_nothing_is_provisioned_twice_and_the_doctor_finds_what_ministack_lacks(platform):
    platform.consumer()

    again = platform.manage("provision")
    doctor = platform.manage("doctor", "--json", LOG_LEVEL="CRITICAL")

    assert again.wait() == 0, again.output
    assert not re.search("^(made|fixed|subscribed|not available)", again.output, re.MULTILINE)
    assert doctor.wait() == 2, doctor.output
    amiss = {
        finding["key"]
        for finding in json.loads(doctor.output)["findings"]
        if finding["verdict"] in ("error", "warning")
    }
    assert amiss == {"credentials.root", "events.no_destination"}
