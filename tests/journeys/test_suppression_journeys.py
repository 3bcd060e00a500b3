"""Real processes and the mailbox simulator: what comes back suppresses its address, and the support is told."""

import uuid

import pytest

from emails.models import Notification, Suppression
from tests.support.builders import make_order
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes

SUPPORT = "shop@example.com"
State = Notification.State


def states(addresses):
    rows = Notification.objects.filter(recipient__in=addresses).order_by("id")
    return [row.state for row in rows]


def test_what_the_mailbox_simulator_sends_back_suppresses_and_is_told_to_the_support(platform):
    label = uuid.uuid4().hex[:8]
    kinds = ("bounce", "complaint", "suppressionlist", "success")
    addresses = [f"{kind}+{label}@simulator.amazonses.com" for kind in kinds]
    orders = [make_order(customer_email=address) for address in addresses]
    platform.consumer(SUPPORT_EMAIL=SUPPORT)

    wait_until(
        lambda: Suppression.objects.active().of(addresses).count() == 3, what="three suppressions"
    )

    def told():
        mails = [mail for mail in platform.aws.mail() if SUPPORT in mail["to"]]
        return "".join(platform.aws.mail_detail(mail["id"])["text"] for mail in mails)

    wait_until(lambda: all(order.number in told() for order in orders[:3]), what="the alerts")
    assert orders[3].number not in told()
    for address in addresses:
        make_order(customer_email=address)
    unwanted = [State.SENT] * 3 + [State.SUPPRESSED] * 3
    wait_until(lambda: states(addresses[:3]) == unwanted, what="three suppressed emails")
    wait_until(lambda: states(addresses[3:]) == [State.SENT] * 2, what="the email that is wanted")
