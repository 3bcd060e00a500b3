"""Put together the email that SES gets: addresses, both parts, and the headers that SES reads."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from emails.rendering.mime import AUTOMATIC, Email
from emails.rendering.templates import Rendered
from emails.sending import trials
from emails.sending.claims import Claim
from emails.ses import brands, default_sender


def message(held: Claim, email: Rendered) -> Email:
    """Build the email; its tags name the notification and the attempt, so that SES's events find them."""
    email = trials.draft_of(held.notification) or email
    template = held.notification.template
    reply_to = brands.reply_to(template)
    made = Email(
        subject=email.subject,
        body=email.text,
        from_email=trials.sender_of(held.notification) or default_sender.of(template),
        to=[held.notification.recipient],
        reply_to=[reply_to] if reply_to else [],
        headers=headers({"nid": str(held.notification.pk), "att": str(held.attempt)}),
    )
    made.attach_alternative(email.html, "text/html")
    return made


def headers(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of every email: that a program wrote it, and those that SES reads and removes.

    SES repeats the tags in its events about the email.
    """
    tagged = ", ".join(f"{name}={value}" for name, value in tags.items())
    made = {**AUTOMATIC, "X-SES-MESSAGE-TAGS": tagged}
    if settings.SES_CONFIGURATION_SET:
        made["X-SES-CONFIGURATION-SET"] = settings.SES_CONFIGURATION_SET
    return made
