"""Staff correct the address of an email that did not arrive: they are told what will be sent, then it is sent."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse

from emails.models import Notification
from notifier.journey import email_timeline
from orders import services
from orders.models import Customer
from queues.events.envelope import Event
from queues.models import OutboxEvent
from tests.support.builders import make_customer, make_order
from tests.support.rows import make_dead_letter, make_notification, staff

pytestmark = pytest.mark.django_db

State = Notification.State
WRONG, RIGHT = "ada@exmaple.com", "ada@example.com"
BOUNCED = {"state": State.SENT, "delivery_status": Notification.Delivery.BOUNCED_HARD}
NAME = "Correct the address and send again"


@pytest.fixture
def order():
    return make_order(customer_email=WRONG)


def email_of(order, **fields):
    event = Event.from_json(OutboxEvent.objects.get(subject=order.number).body)
    return make_notification(
        event_id=event.id, subject=order.number, recipient=WRONG, context=event.data, **fields
    )


def page_of(email):
    return reverse("new-address", args=[email.event_id])


def posted(client, email, **fields):
    version = client.get(page_of(email)).context["form"]["version"].value()
    return client.post(page_of(email), {"address": RIGHT, "version": version} | fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [(BOUNCED, "a second, new email, on purpose"), ({"state": State.FAILED}, "was never sent")],
)
def test_the_page_says_what_will_be_sent_before_it_is_sent(admin_client, order, fields, words):
    email = email_of(order, **fields)

    page = posted(admin_client, email).content.decode()

    assert f"1 email to {RIGHT} will be sent" in page
    assert words in " ".join(page.split())
    assert Notification.objects.count() == 1


def test_a_confirmed_address_gets_the_email_and_the_log_keeps_no_address(admin_client, order):
    email = email_of(order, **BOUNCED)

    response = posted(admin_client, email, confirmed="yes", reason="She called.")

    assert response.url == reverse("timeline", args=[email.event_id])
    assert Notification.objects.get(recipient=RIGHT).state == State.PENDING
    entry = LogEntry.objects.get()
    assert entry.change_message == "Corrected the address and sent the email again: She called."
    assert "@" not in entry.object_repr
    timeline = admin_client.get(response.url).content.decode()
    assert f"1 email to {RIGHT} is on its way." in timeline
    assert "Corrected the address" in timeline


def test_confirming_twice_sends_once(admin_client, order):
    email = email_of(order, **BOUNCED)
    version = admin_client.get(page_of(email)).context["form"]["version"].value()
    form = {"address": RIGHT, "version": version, "confirmed": "yes"}

    for _ in range(2):
        admin_client.post(page_of(email), form)

    assert Notification.objects.count() == 2
    assert OutboxEvent.objects.filter(event_id=email.event_id).count() == 2


@pytest.mark.parametrize("address", ["", "ada", "ada@", "ada@localhost", "a b@example.com"])
def test_what_is_no_address_is_an_error_beside_the_field(admin_client, order, address):
    response = posted(admin_client, email_of(order, **BOUNCED), address=address, confirmed="yes")

    assert list(response.context["form"].errors) == ["address"]
    assert Notification.objects.count() == 1


def test_what_was_delivered_says_so(admin_client, order):
    email = email_of(order, state=State.SENT, delivery_status="delivered")

    response = admin_client.get(page_of(email), follow=True)

    assert "This email was delivered" in response.content.decode()


@pytest.mark.parametrize("role", ["support", "operator"])
def test_support_finds_it_on_the_order_and_on_the_timeline(client, order, role):
    email = email_of(order, state=State.FAILED)
    make_dead_letter(
        event_id=email.event_id, body=OutboxEvent.objects.get(subject=order.number).body
    )
    client.force_login(staff(role=role))

    there = client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    timeline = client.get(reverse("timeline", args=[email.event_id])).content.decode()

    assert NAME in there
    assert page_of(email) in there
    assert page_of(email) in timeline
    assert posted(client, email, confirmed="yes").status_code == 302
    assert Notification.objects.filter(recipient=RIGHT).exists()


def test_an_email_that_arrived_offers_no_correction(admin_client, order):
    email = email_of(order, state=State.SENT, delivery_status="delivered")

    there = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    timeline = admin_client.get(reverse("timeline", args=[email.event_id])).content.decode()

    assert page_of(email) not in there + timeline


@pytest.mark.parametrize("lacking", ["readdress_notification", "view_pii"])
def test_without_the_right_nobody_corrects_an_address(client, order, lacking):
    email = email_of(order, **BOUNCED)
    group = Group.objects.get(name="support")
    group.permissions.remove(*group.permissions.filter(codename=lacking))
    client.force_login(staff(role="support"))

    assert client.get(page_of(email)).status_code == 403
    assert client.post(page_of(email), {"address": RIGHT, "confirmed": "yes"}).status_code == 403
    timeline = client.get(reverse("timeline", args=[email.event_id])).content.decode()
    assert page_of(email) not in timeline


@pytest.fixture
def customer():
    services.register(name="Ada Lovelace", email=WRONG)
    return Customer.objects.get()


def registration_of(customer, **fields):
    event = Event.from_json(OutboxEvent.objects.get(subject=customer.subject).body)
    return make_notification(
        event_id=event.id,
        event_type=event.type,
        subject=event.subject,
        template="verify_email",
        recipient=WRONG,
        context=event.data,
        **fields,
    )


def test_a_customer_who_mistyped_the_address_gets_a_link_at_the_right_one(admin_client, customer):
    email = registration_of(customer, state=State.FAILED)
    letter = make_dead_letter(
        event_id=email.event_id,
        type=email.event_type,
        body=OutboxEvent.objects.get(subject=customer.subject).body,
    )

    there = reverse("admin:orders_customer_change", args=[customer.pk])
    assert page_of(email) in admin_client.get(there).content.decode()
    response = posted(admin_client, email, confirmed="yes")

    assert response.url == there
    customer.refresh_from_db()
    email.refresh_from_db()
    letter.refresh_from_db()
    assert (customer.email, customer.email_verified_at) == (RIGHT, None)
    assert (email.state, letter.state) == (State.CANCELLED, "discarded")
    new = OutboxEvent.objects.exclude(event_id=email.event_id).get()
    assert (new.type, RIGHT in new.body, WRONG in new.body) == (email.event_type, True, False)
    assert LogEntry.objects.get().object_id == str(customer.pk)


def test_the_address_of_another_customer_is_refused(admin_client, customer):
    make_customer(email=RIGHT)
    email = registration_of(customer, state=State.FAILED)

    response = posted(admin_client, email, confirmed="yes")

    assert "There is a customer with this email address already." in response.content.decode()
    email.refresh_from_db()
    assert email.state == State.FAILED
    assert OutboxEvent.objects.count() == 1


def test_a_confirmed_customer_keeps_the_address(admin_client, customer):
    email = registration_of(customer, state=State.FAILED)
    customer.confirm_email()

    response = admin_client.get(page_of(email), follow=True)

    assert "personal link" in response.content.decode()


def test_no_more_links_than_a_day_allows(admin_client, customer):
    email = registration_of(customer, state=State.FAILED)
    Customer.objects.update(links_sent=5)

    response = posted(admin_client, email, confirmed="yes")

    assert "Enough links were sent" in response.content.decode()
    customer.refresh_from_db()
    assert customer.email == WRONG


def test_the_customers_page_tells_of_the_email_to_the_corrected_address(admin_client, order):
    posted(admin_client, email_of(order, state=State.FAILED), confirmed="yes")

    told = email_timeline.of(order.number)

    assert (told.status, "cancelled" in told.verdict.message) == ("queued", False)
