"""The tables of rehearsals: a draft rendered against real events before it is published, and what became of each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from queues.uuid7 import uuid7


class RehearsalQuerySet(models.QuerySet["Rehearsal"]):
    """Choose rehearsals."""

    def due(self) -> RehearsalQuerySet:
        """Select those that are not done, and that no process is working on."""
        return self.filter(ended_at=None, next_at__lte=Now())


class Rehearsal(models.Model):
    """A draft, as it was when somebody asked, beside what was in force then; see ``emails.rehearsal.jobs``.

    ``plan`` has two sets of files for each template that the draft changes, ``before`` and ``after``. ``counts`` has
    the number of cases by ``kind/outcome``; it is complete, while of each only some are kept as rows.
    """

    class Stage(models.TextChoices):
        """What is rendered now; ``made`` is data that was made up."""

        LETTERS = "letters", "open dead letters"
        EVENTS = "events", "real events"
        MADE = "made", "made-up data"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # That of the draft: a template, or a partial, whose templates are all rehearsed.
    name = models.CharField(max_length=100)
    revision = models.PositiveIntegerField()
    plan = models.JSONField()
    digest = models.CharField(max_length=64)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(auto_now_add=True)
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.LETTERS)
    # The last row of this stage that is done; empty if the stage has just begun.
    cursor = models.UUIDField(null=True)
    # Rows of this stage that were looked at, whether or not they are about these templates, and all that there are.
    looked = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    counts = models.JSONField(default=dict)
    # How many cases of each outcome and shape are kept as rows.
    kept = models.JSONField(default=dict)
    # Events up to this time are rehearsed.
    until = models.DateTimeField()
    error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True)
    # No process goes on with it before this time; while one does, this is the end of its lease.
    next_at = models.DateTimeField()

    objects = RehearsalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [
            models.Index("name", "id", name="rehearsal_of_draft"),
            models.Index("next_at", name="rehearsal_unfinished", condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return f"rehearsal of {self.name}"

    @property
    def is_done(self) -> bool:
        """True if everything was rendered."""
        return self.stage == self.Stage.DONE

    @property
    def percent(self) -> int:
        """How much of it is done, in percent; dead letters count as a third, and made-up data as a tenth."""
        begin, width = {"letters": (0, 30), "events": (30, 60), "made": (90, 10)}.get(
            self.stage, (100, 0)
        )
        return begin + int(width * min(1.0, self.looked / (self.total or 1)))

    @property
    def rendered(self) -> int:
        """How many events and dead letters are rendered so far, made-up ones included."""
        return sum(self.counts.values())

    def count(self, *outcomes: str, is_made: bool = False) -> int:
        """Return how many real events, or made-up ones, had one of these outcomes."""
        kinds = RehearsalCase.MADE if is_made else RehearsalCase.REAL
        return sum(self.counts.get(f"{kind}/{each}", 0) for kind in kinds for each in outcomes)


class RehearsalCase(models.Model):
    """One event or dead letter, rendered by a draft and by what was in force."""

    class Kind(models.TextChoices):
        """Where the data comes from."""

        LETTER = "letter", "dead letter"
        EVENT = "event"
        MADE = "made", "made-up data"

    class Outcome(models.TextChoices):
        """``fixed``: it failed before, and no more. ``broken``: it fails now. ``failing``: it fails as before."""

        FIXED = "fixed"
        BROKEN = "broken"
        CHANGED = "changed"
        UNCHANGED = "unchanged"
        FAILING = "failing", "still failing"

    REAL = (Kind.LETTER, Kind.EVENT)
    MADE = (Kind.MADE,)

    rehearsal = models.ForeignKey(Rehearsal, on_delete=models.CASCADE, related_name="cases")
    template = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind)
    outcome = models.CharField(max_length=10, choices=Outcome)
    # The dead letter or the notification that has the data; made-up data is kept in ``context``.
    source = models.UUIDField(null=True)
    context = models.JSONField(null=True)
    event_type = models.CharField(max_length=100, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    happened_at = models.DateTimeField(null=True)
    # What tells its data from others, in words: withdrawal, EUR, with description.
    shape = models.CharField(max_length=300, blank=True)
    # Why it cannot be rendered; that of a fixed one, why it could not.
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                "rehearsal", "kind", "source", "template", name="one_case_per_event_and_template"
            )
        ]
        indexes = [
            models.Index("rehearsal", "outcome", "kind", "id", name="rehearsal_case_outcome")
        ]

    def __str__(self) -> str:
        return self.words

    @property
    def words(self) -> str:
        """What staff call it: ``TXN-000042 (withdrawal, EUR, with description)``."""
        name = self.subject or self.template
        return f"{name} ({self.shape})" if self.shape else name
