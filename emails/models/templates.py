"""The tables of email templates: their versions, which of them is in force, drafts, and what emails were made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import models


class TemplateVersion(models.Model):
    """The files of a template as they once were; nothing ever changes them.

    ``files`` has the source of each file by its name (``subject.hbs``, ``body.html.hbs``, ``ar/subject.hbs``). Those of
    a template also have the partials that it uses (``partials/layout.hbs``), so that a version renders alone. A partial
    has versions of its own, under the name ``partials/layout`` and with one file, ``source.hbs``.
    """

    class Origin(models.TextChoices):
        """Where a version comes from; ``partial``: one of its partials was published."""

        CODE = "code", "deployed code"
        STAFF = "staff"
        PARTIAL = "partial", "a partial"
        IMPORT = "import"

    name = models.CharField("template", max_length=100)
    number = models.PositiveIntegerField()
    files = models.JSONField()
    digest = models.CharField(max_length=64)
    origin = models.CharField(max_length=10, choices=Origin)
    by = models.CharField(max_length=150, blank=True)
    why = models.TextField(blank=True)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-number"]
        constraints = [
            models.UniqueConstraint("name", "number", name="one_template_version_per_number"),
            models.UniqueConstraint("name", "digest", name="one_template_version_per_text"),
        ]

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"

    @property
    def is_of_code(self) -> bool:
        """Return True if it was deployed with the code."""
        return self.origin == self.Origin.CODE


class EmailTemplate(models.Model):
    """What staff decided about a template, or a partial; one that nobody touched has no row.

    Without ``published`` the files of the deployed code are in force, in each process its own.
    """

    name = models.CharField("template", max_length=100, primary_key=True)
    published = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    # The digest of the deployed files that it hides, when staff decided: the page tells when they have changed since.
    deployed = models.CharField(max_length=64, blank=True, default="", db_default="")
    # The open canary: a version that goes to a few emails beside the one in force.
    canary = models.OneToOneField(
        "emails.Canary", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # It rises with each decision: two of them never pass for the same.
    revision = models.PositiveIntegerField(default=0)
    by = models.CharField(max_length=150, blank=True)
    why = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    # What staff chose instead of the brand in ``sample.json``, and instead of that brand's sender and replies.
    brand = models.CharField(max_length=30, blank=True, default="", db_default="")
    sender = models.CharField(max_length=320, blank=True, default="", db_default="")
    reply_to = models.EmailField("replies go to", blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        permissions = [
            ("edit_template", "Can edit drafts of email templates"),
            ("publish_template", "Can publish email templates"),
            ("roll_back_template", "Can roll back email templates"),
        ]

    def __str__(self) -> str:
        return self.name


class TemplateDraft(models.Model):
    """The one open draft of a template or partial, which has no number yet."""

    name = models.CharField("template", max_length=100, primary_key=True)
    files = models.JSONField()
    # What it was begun from; the page compares it with that.
    base = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, null=True, related_name="+")
    revision = models.PositiveIntegerField(default=1)
    by = models.CharField(max_length=150)
    why = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} draft"


class Edition(models.Model):
    """A version on a letterhead: all that makes an email out of an event's data, the same bytes each time."""

    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="editions")
    letterhead = models.JSONField()
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"edition {self.pk} of {self.version_id}"


def digest_of(value: Mapping[str, Any]) -> str:
    """Return what tells two JSON objects apart: their SHA-256, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
