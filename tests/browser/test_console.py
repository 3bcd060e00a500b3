"""Staff who are called at 3 a.m. understand the dead letters and drain them in a few clicks."""

import json
import uuid

import pytest
from playwright.sync_api import expect

from notifier.alerts import concerns
from queues.models import DeadLetter, Redrive
from tests.support.browser import Clicks, take_picture
from tests.support.builders import make_order, make_product
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

REFUSED = 14
UNKNOWN = json.dumps(
    {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/orders",
        "type": "order.placed.v9",
        "data": {},
    }
)


def fill_the_dead_letter_queue(platform):
    product = make_product()
    for number in range(REFUSED):
        make_order(lines=[(product, 1)], customer_email=f"customer-{number}@example.org")
    orders = platform.queue(platform.environment["QUEUE_ORDERS"])
    for body in (UNKNOWN, "not JSON"):
        orders.send(body)
    wait_until(lambda: DeadLetter.objects.count() == REFUSED + 2, what="the dead letters")


def called_to():
    """The page that the alert of the largest cause leads to."""
    [letters] = [concern for concern in concerns.current() if concern.key == "letters"]
    return letters.address_of(letters.causes[0])


def test_from_the_alerts_link_to_drained_it_takes_two_clicks_and_no_open_browser(site, platform):
    fill_the_dead_letter_queue(platform)
    # The cause is fixed: AWS lets the account out of the sandbox.
    site.aws.set_sandbox_rules(False)

    staff = site.open_admin(called_to())
    expect(staff.get_by_text("SES sandbox: the recipient is not verified").first).to_be_visible()
    clicks = Clicks(staff)
    clicks.link("Redrive SES sandbox")
    expect(staff.get_by_label(f"{REFUSED} will send")).to_be_checked()
    clicks.button("Start the redrive")
    expect(staff.get_by_role("button", name="Stop")).to_be_visible()
    address = staff.url
    staff.context.close()

    wait_until(lambda: Redrive.objects.get().state == Redrive.State.DONE, what="the redrive's end")
    record = site.open_admin(address.removeprefix(site.base))
    expect(record.get_by_text("The outcome of every dead letter is known")).to_be_visible()
    take_picture(record, "redrive-done", height=900)

    assert clicks.count == 2
    assert DeadLetter.objects.waiting().count() == 2
    sent = [mail for mail in site.aws.mail() if "is confirmed" in mail["subject"]]
    assert len(sent) == len({mail["to"][0] for mail in sent}) == REFUSED


def test_a_canary_stops_a_redrive_whose_cause_is_not_fixed(site, platform):
    fill_the_dead_letter_queue(platform)

    staff = site.open_admin(called_to())
    staff.get_by_role("link", name="Redrive SES sandbox").first.click()
    # Staff mean to try all the same.
    staff.get_by_label(f"{REFUSED} recipient not verified").check()
    staff.get_by_role("button", name="Start the redrive").click()

    # Nobody reloads the page.
    expect(
        staff.get_by_text("It stopped by itself, because a failure came back.").first
    ).to_be_visible()
    take_picture(staff, "redrive-halted", height=900)

    sent_back = Redrive.objects.get().items.exclude(released_at=None)
    assert sent_back.count() == 1
    assert DeadLetter.objects.waiting().count() >= REFUSED - 1 + 2
