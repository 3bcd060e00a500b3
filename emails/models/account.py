"""The rows about the SES account that all processes share: its rate, events, sender and breakers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class SendRate(models.Model):
    """One row: SES's limits, and when we may send to the next recipient. See ``emails.sending.limiter``."""

    tat_us = models.BigIntegerField(default=0)
    step_us = models.BigIntegerField()
    max_send_rate = models.FloatField("recipients a second")
    max_24_hour_send = models.FloatField("recipients in 24 hours", default=-1)
    sent_last_24_hours = models.FloatField(default=0)
    slowed_until = models.DateTimeField(null=True)
    refresh_at = models.DateTimeField()

    class Meta:
        verbose_name = "sending rate"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_sending_rate")]

    def __str__(self) -> str:
        return f"{self.max_send_rate:g}/s"


class EventChannel(models.Model):
    """One row: how far we have read the events of SES; see ``emails.reports.evidence``."""

    newest_sent_at = models.DateTimeField(null=True)
    canary_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_event_channel")]

    def __str__(self) -> str:
        return "events from SES"


class SenderCheck(models.Model):
    """One row: SES's last answer about the address that we send from; see ``emails.identities.sender_status``."""

    address = models.CharField(max_length=254)
    # Null until SES has answered.
    is_verified = models.BooleanField(null=True)
    error = models.TextField(blank=True)
    asked_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_sender_check")]

    def __str__(self) -> str:
        return self.address


class Breaker(models.Model):
    """A breaker and, while it is open, the reason why we send nothing; see ``emails.sending.breakers``."""

    name = models.CharField(max_length=20, primary_key=True)
    is_open = models.BooleanField(default=False)
    code = models.CharField(max_length=100, blank=True)
    reason = models.TextField(blank=True)
    opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
