"""Choose the template and the recipient of the email that each event leads to."""

from __future__ import annotations

from emails import events as events  # The import defines this app's types of events.
from emails.sending import trials
from emails.sending.notifying import notify
from queues.events.envelope import Event
from queues.registry import handles


@handles("order.placed.v1")
def confirm_order(event: Event) -> None:
    """Tell the customer that we have the order."""
    notify(event, template="order_confirmation", recipient=event.data["customer"]["email"])


@handles("transaction.posted.v1")
def alert_account_holder(event: Event) -> None:
    """Tell the account holder about every deposit and withdrawal."""
    notify(event, template="transaction_alert", recipient=event.data["account"]["holder_email"])


@handles("customer.registered.v1")
def ask_to_verify(event: Event) -> None:
    """Ask the customer to confirm that the address is theirs."""
    notify(event, template="verify_email", recipient=event.data["customer"]["email"])


@handles("email.returned.v1")
def alert_support(event: Event) -> None:
    """Tell support whose emails came back."""
    notify(event, template="support_alert", recipient=event.data["support"])


@handles(trials.TYPE)
def send_test_email(event: Event) -> None:
    """Send the test email that staff asked for."""
    notify(event, template=trials.TEMPLATE, recipient=event.data["recipient"])


@handles("customer.link_requested.v1")
def send_sign_in_link(event: Event) -> None:
    """Send a customer with a confirmed address the link to the orders of that address."""
    notify(event, template="sign_in_link", recipient=event.data["customer"]["email"])
