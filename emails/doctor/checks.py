"""Check SES for ``manage.py doctor``: may it send, from whom, to whom, and does it report what becomes of emails."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from emails.doctor import events_destination
from emails.errors import IdentityError, InDoubt, SendError
from emails.identities import identities
from emails.models import Breaker, DeliveryEvent
from emails.sending import direct_emails, journal
from emails.ses import default_sender, ses_api
from queues.aws.failures import error_codes
from queues.doctor.checks import away
from queues.doctor.findings import AwsAway, Finding, Verdict, doctor_check, missing_right
from queues.models.live import LiveConsumer

ALIAS = "ses-events"
BOUNCE_SECONDS = 60
QUOTA_SHARE = 0.9


@doctor_check("SES", asks_aws=True)
def account() -> Iterable[Finding]:
    """Check the sandbox, the quota, and whether SES lets the account send at all."""
    yield _sandbox()
    try:
        quota = ses_api.quota()
    except SendError as exc:
        yield _unasked(exc, right="ses:GetSendQuota")
    else:
        yield _quota(quota)
    try:
        ses_api.require_sending_enabled()
    except SendError as exc:
        if exc.code != "AccountSendingPaused":
            yield _unasked(exc, right="ses:GetAccountSendingEnabled")
        else:
            yield Finding(
                "ses.paused",
                "Sending is paused for this account.",
                Verdict.ERROR,
                why="SES accepts no email.",
                fix="See the SES console, Account dashboard: AWS or somebody paused it.",
            )


def _unasked(exc: SendError, *, right: str) -> Finding:
    if error_codes.is_away(exc.code):
        # Each of the questions that are left would wait as long.
        raise AwsAway(away(f"SES does not answer: {exc}")) from exc
    if error_codes.is_about_credentials(exc.code):
        raise AwsAway(
            Finding(
                "credentials.missing",
                f"SES does not take the credentials: {exc}",
                Verdict.ERROR,
                why="No email is sent.",
                fix="Give the process credentials that AWS takes.",
            )
        ) from exc
    if error_codes.is_denied(exc.code):
        return missing_right(str(exc), otherwise=right, of="this account")
    return Finding(
        "ses.unknown",
        f"SES does not answer {right.partition(':')[2]}: {exc} ({exc.code})",
        Verdict.WARNING,
        why="Nobody knows whether it is in order.",
        fix="Wait a moment and run the doctor again; if it stays, SES's words above say why.",
    )


def _sandbox() -> Finding:
    try:
        is_sandbox = identities.is_sandbox()
    except IdentityError as exc:
        return Finding("ses.sandbox_unknown", f"SES sandbox or production: {exc}", Verdict.NOTE)
    if not is_sandbox:
        return Finding("ses.production", "The account has production access: any recipient.")
    return Finding(
        "ses.sandbox",
        "The account is in the SES sandbox.",
        Verdict.NOTE if settings.DEBUG else Verdict.WARNING,
        why="SES sends to verified recipients only.",
        fix="Ask for production access in the SES console, Account dashboard.",
    )


def _quota(quota: ses_api.Quota) -> Finding:
    if quota.max_24_hours < 0:
        return Finding("ses.quota", f"SES sends {quota.max_rate:g} a second, any number a day.")
    used = f"{quota.sent_24_hours:,.0f} of {quota.max_24_hours:,.0f} emails in 24 hours are sent"
    if quota.sent_24_hours < QUOTA_SHARE * quota.max_24_hours:
        return Finding("ses.quota", f"{used}; SES takes {quota.max_rate:g} a second.")
    is_used_up = quota.sent_24_hours >= quota.max_24_hours
    return Finding(
        "ses.quota",
        f"{used}.",
        Verdict.ERROR if is_used_up else Verdict.WARNING,
        why="When it is used up, emails wait until the 24 hours move on.",
        fix="Ask for a higher quota: Service Quotas in the AWS console, Amazon SES, Sending quota.",
    )


@doctor_check("SES", asks_aws=True)
def sender() -> Iterable[Finding]:
    """Check that SES sends from the sender of each brand, and signs what it sends."""
    # If there is none, the check of settings says so.
    for address in default_sender.addresses_in_force():
        yield from _sender(address)


def _sender(address: str) -> Iterable[Finding]:
    try:
        is_verified = ses_api.sender_is_verified(address)
    except SendError as exc:
        yield _unasked(exc, right="ses:GetIdentityVerificationAttributes")
        return
    if not is_verified:
        yield Finding(
            "ses.sender",
            f"The sender {address} is not verified.",
            Verdict.ERROR,
            why="SES sends nothing from it.",
            fix="Verify the address or its domain: Identities in the admin.",
        )
        return
    yield Finding("ses.sender", f"The sender {address} is verified.")
    yield _signature(address.rpartition("@")[2])


def _signature(domain: str) -> Finding:
    try:
        found, missing = identities.get(domain)
        dkim = found.dkim
    except IdentityError:
        # SES has no such identity: the address alone is verified.
        dkim, missing = "", []
    if missing:
        return Finding("ses.dkim_unknown", f"DKIM of {domain}: {missing[0]}", Verdict.NOTE)
    if dkim == "Success":
        return Finding("ses.dkim", f"SES signs for {domain} (DKIM).")
    return Finding(
        "ses.dkim",
        f"SES does not sign for {domain}: DKIM {f'is {dkim}' if dkim else 'is not set up'}.",
        Verdict.NOTE if settings.DEBUG else Verdict.WARNING,
        why="Gmail, Yahoo and others refuse unsigned mail of regular senders, or call it spam.",
        fix=f"Verify the domain {domain} and publish its records: Identities in the admin.",
    )


@doctor_check("SES", asks_aws=True)
def way_back() -> Iterable[Finding]:
    """Check that SES reports what becomes of emails, and that its reports reach us."""
    return events_destination.look()


@doctor_check("SES")
def sending_now() -> Iterable[Finding]:
    """Check whether anything stops consumers from sending, and where they keep what the database could not take."""
    for breaker in Breaker.objects.filter(is_open=True):
        yield Finding(
            "ses.breaker",
            f"Sending has stopped ({breaker.name}): {breaker.code}.",
            Verdict.ERROR,
            why="Consumers receive nothing until SES accepts again; no message is lost.",
            fix="See the Overview, which says what to do about it.",
        )
    yield _journal()


def _journal() -> Finding:
    folder = Path(settings.JOURNAL_DIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        return Finding(
            "ses.journal",
            f"JOURNAL_DIR={folder} cannot be written to: {exc.strerror}.",
            Verdict.ERROR,
            why="An email that SES accepts while the database is away would be in doubt.",
            fix="Let the user of the consumers write there, on a disk that outlives a restart.",
        )
    if damaged := journal.unreadable():
        return Finding(
            "ses.journal_unreadable",
            f"{len(damaged)} file(s) in JOURNAL_DIR={folder} cannot be read: {damaged[0].name}.",
            Verdict.WARNING,
            why="Each was to say that SES accepted an email while the database was away; that email is in doubt.",
            fix="Decide the emails in doubt on the Overview, by what SES shows, then delete the files *.unreadable.",
        )
    return Finding("ses.journal", f"{folder} can be written to.")


@doctor_check("A bounce", asks_aws=True, sends=True)
def bounce() -> Iterable[Finding]:
    """Send an email to SES's mailbox simulator, and wait until a consumer has read that it bounced."""
    if ALIAS not in settings.QUEUES and not settings.SES_WEBHOOK_TOPICS:
        yield Finding(
            "bounce.no_way_back",
            "No bounce was sent: SES_EVENTS_TOPIC is empty, so nothing could come back.",
            Verdict.WARNING,
            why="Nobody learns which emails bounced.",
            fix="Set SES_CONFIGURATION_SET and SES_EVENTS_TOPIC, then: python manage.py provision",
        )
        return
    began = time.monotonic()
    try:
        message_id = direct_emails.send_bounce()
    except SendError as exc:
        yield _not_sent(exc)
        return
    yield Finding("bounce.sent", f"SES's mailbox simulator has an email to bounce, {message_id}.")
    yield _came_back(message_id, began=began)


def _not_sent(exc: SendError) -> Finding:
    doubt = "SES may have taken it" if isinstance(exc, InDoubt) else "SES did not take it"
    return Finding(
        "bounce.not_sent",
        f"{doubt}: {exc} ({exc.code})",
        Verdict.ERROR,
        why="What is refused here is refused to customers as well.",
        fix="This endpoint has no version 2 of SES's API: set USE_SES_V2=off."
        if settings.USE_SES_V2 and error_codes.is_lacking(exc.code)
        else "The findings under SES, or SES's words above, say what is wrong.",
    )


def _came_back(message_id: str, *, began: float) -> Finding:
    while time.monotonic() - began < BOUNCE_SECONDS:
        if _told(message_id):
            seconds = time.monotonic() - began
            return Finding(
                "bounce.back", f"Its bounce was reported and read after {seconds:.1f} s."
            )
        time.sleep(0.25)
    reads = LiveConsumer.objects.alive().filter(kind=LiveConsumer.Kind.CONSUMER)
    # Containment in JSON is not everywhere.
    is_read = any(ALIAS in row.queues for row in reads)
    return Finding(
        "bounce.lost",
        f"Its bounce was not read within {BOUNCE_SECONDS} s.",
        Verdict.ERROR,
        why="Nobody learns of bounces and complaints, and doubts do not end by themselves.",
        fix="See the findings on the configuration set and its topic."
        if is_read or settings.SES_WEBHOOK_TOPICS
        else f"Nobody reads {ALIAS}. Start a consumer: python manage.py consume_queue",
    )


def _told(message_id: str) -> bool:
    return DeliveryEvent.objects.filter(provider_message_id=message_id, type="Bounce").exists()
