"""Choose the template and the recipient of the email that each type of event leads to."""

from __future__ import annotations

from emails import events as events  # The import defines this app's types of events.
from emails.sending import trials
from emails.sending.together import sends
from queues.events.envelope import Event


@sends("order.placed.v1", template="order_confirmation")
def customer(event: Event) -> str:
    """Tell the customer that we have the order."""
    return str(event.data["customer"]["email"])


@sends("transaction.posted.v1", template="transaction_alert")
def account_holder(event: Event) -> str:
    """Tell the account holder about every deposit and withdrawal."""
    return str(event.data["account"]["holder_email"])


@sends("customer.registered.v1", template="verify_email")
def registered_customer(event: Event) -> str:
    """Ask the customer to confirm that the address is theirs."""
    return str(event.data["customer"]["email"])


@sends("email.returned.v1", template="support_alert")
def support(event: Event) -> str:
    """Tell support whose emails came back."""
    return str(event.data["support"])


@sends(trials.TYPE, template=trials.TEMPLATE)
def trial_recipient(event: Event) -> str:
    """Send the test email that staff asked for."""
    return str(event.data["recipient"])


@sends("customer.link_requested.v1", template="sign_in_link")
def known_customer(event: Event) -> str:
    """Send a customer with a confirmed address the link to the orders of that address."""
    return str(event.data["customer"]["email"])
