"""Choose the template and the recipient of the email that each type of event leads to."""

from __future__ import annotations

from emails import events as events  # The import defines this app's types of events.
from emails.sending import trials
from emails.sending.together import sends
from queues.events.envelope import Event


@sends("order.placed.v1", template="order_confirmation")
def customer(event: Event) -> str:
    """Return the customer, who learns that we have the order."""
    return str(event.data["customer"]["email"])


@sends("transaction.posted.v1", template="transaction_alert")
def account_holder(event: Event) -> str:
    """Return the account holder, who learns of every deposit and withdrawal."""
    return str(event.data["account"]["holder_email"])


@sends("customer.registered.v1", template="verify_email")
def registered_customer(event: Event) -> str:
    """Return the customer, who is asked to confirm that the address is theirs."""
    return str(event.data["customer"]["email"])


@sends("email.returned.v1", template="support_alert")
def support(event: Event) -> str:
    """Return the address of support, who learn whose emails came back."""
    return str(event.data["support"])


@sends(trials.TYPE, template=trials.TEMPLATE)
def trial_recipient(event: Event) -> str:
    """Return the address to which staff asked for a test email."""
    return str(event.data["recipient"])


@sends("customer.link_requested.v1", template="sign_in_link")
def known_customer(event: Event) -> str:
    """Return a customer with a confirmed address, who gets the link to the orders of that address."""
    return str(event.data["customer"]["email"])
