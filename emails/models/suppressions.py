"""The tables of addresses that must get no email, and of their comparison with SES's own list."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from queues import addresses
from queues.models.addresses import KeptAddressField
from queues.uuid7 import uuid7


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    """The queries that choose suppressions."""

    def active(self) -> SuppressionQuerySet:
        """Return the suppressions in force: these addresses get no email now."""
        return self.filter(state=Suppression.State.ACTIVE)

    def of(self, texts: Collection[str]) -> SuppressionQuerySet:
        """Return the suppressions of these addresses, however they are spelled."""
        wanted = set(map(addresses.key, texts))
        return self.alias(folded=Lower("address")).filter(folded__in=wanted)


class Suppression(models.Model):
    """An address that must get no email, or had to get none until somebody lifted its suppression."""

    class State(models.TextChoices):
        """The state of a suppression.

        A lifted one stays: it says who lifted it, and an old bounce report cannot add it again.
        """

        ACTIVE = "active"
        LIFTED = "lifted"

    class Source(models.TextChoices):
        """The source of a suppression; ``ses``: the account's list at SES."""

        BOUNCE = "bounce"
        COMPLAINT = "complaint"
        STAFF = "staff"
        IMPORT = "import"
        SES = "ses", "SES"

    class Task(models.TextChoices):
        """The change that SES's list still has to get."""

        NONE = ""
        ADD = "add"
        REMOVE = "remove"

    # In the form that ``queues.addresses.kept`` gives: in lower case it is the key.
    address = KeptAddressField(max_length=254)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    source = models.CharField(max_length=10, choices=Source)
    reason = models.CharField(max_length=300, blank=True)
    # When the suppression began, by the clock of its source.
    since = models.DateTimeField("since")
    added_by = models.CharField(max_length=150, blank=True)
    # The email that came back.
    notification = models.ForeignKey(
        "emails.Notification", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True)
    ses_task = models.CharField("SES is to", max_length=6, choices=Task, blank=True)
    ses_error = models.CharField("SES said", max_length=300, blank=True)
    # When the last pass over SES's list that found this address began.
    ses_seen_at = models.DateTimeField("on SES's list", null=True)
    # If true, the suppressed emails are sent after all, once SES's list has changed.
    sends_again = models.BooleanField(default=False)

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        ordering = ["-since", "-id"]
        default_permissions = ()
        permissions = [
            ("view_suppression", "Can view suppressed addresses"),
            ("add_suppression", "Can suppress an address"),
            ("lift_suppression", "Can lift the suppression of an address"),
            ("import_suppression", "Can import suppressed addresses"),
            ("export_suppression", "Can export suppressed addresses"),
        ]
        constraints = [
            models.UniqueConstraint(Lower("address"), name="one_suppression_per_address")
        ]
        indexes = [
            models.Index("since", "id", name="suppression_since"),
            models.Index(
                "id",
                name="suppression_to_do",
                condition=Q(ses_task__in=["add", "remove"]) | Q(sends_again=True),
            ),
        ]

    def __str__(self) -> str:
        return self.address


class SuppressionImport(models.Model):
    """A file that somebody uploaded and has not confirmed yet; ``emails.reputation.imports`` deletes it after a day."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Who uploaded it: nobody else may see or confirm it.
    user_id = models.BigIntegerField()
    file_name = models.CharField(max_length=100)
    # The file, compressed.
    content = models.BinaryField()
    reason = models.CharField(max_length=300)
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.file_name


class SuppressionSync(models.Model):
    """One row: how far we have read SES's list; see ``emails.reputation.ses_sync``."""

    # Where the pass goes on; empty between passes. A full pass begins without ``listed_since``.
    next_token = models.TextField(blank=True)
    began_at = models.DateTimeField(null=True)
    listed_since = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    full_at = models.DateTimeField(null=True)
    # Why we cannot read or change SES's list, in words for staff.
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_suppression_sync")]

    def __str__(self) -> str:
        return "SES's list"
