"""Count what a rehearsal finds, and keep some cases of each kind to look at."""

from __future__ import annotations

from emails.models import Rehearsal, RehearsalCase
from emails.rehearsal import kinds
from emails.rehearsal.comparing import Compared
from emails.rehearsal.subjects import Subject

Kind = RehearsalCase.Kind
Outcome = RehearsalCase.Outcome

# Of one outcome, and of one outcome and shape, so many cases are kept as rows. Of dead letters that are fixed all are:
# they are redriven.
MOST_CASES = 300
MOST_ALIKE = 3


class Book:
    """What one step adds to a rehearsal: its counts are complete, its cases are not."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self._rehearsal = rehearsal
        self.counts: dict[str, int] = dict(rehearsal.counts)
        self.kept: dict[str, int] = dict(rehearsal.kept)
        self.cases: list[RehearsalCase] = []

    def add(self, subject: Subject, compared: Compared) -> None:
        """Count a case, and keep it if there are not enough like it."""
        outcome = compared.outcome
        self._count(self.counts, f"{subject.kind}/{outcome}")
        is_redriven = (subject.kind, outcome) == (Kind.LETTER, Outcome.FIXED)
        if not is_redriven and self.kept.get(f"{subject.kind}/{outcome}", 0) >= MOST_CASES:
            return
        shape = kinds.words(subject.event_type, subject.context)
        alike = f"{subject.kind}/{outcome}/{subject.template}/{shape}"
        is_rare = outcome == Outcome.BROKEN or self.kept.get(alike, 0) < MOST_ALIKE
        if is_redriven or is_rare:
            self._count(self.kept, f"{subject.kind}/{outcome}")
            self._count(self.kept, alike)
            self.cases.append(self._case(subject, compared, shape))

    def _case(self, subject: Subject, compared: Compared, shape: str) -> RehearsalCase:
        is_made = subject.kind == Kind.MADE
        return RehearsalCase(
            rehearsal=self._rehearsal,
            template=subject.template,
            kind=subject.kind,
            outcome=compared.outcome,
            source=subject.source,
            context=dict(subject.context) if is_made else None,
            event_type=subject.event_type,
            subject=subject.subject[:200],
            happened_at=subject.happened_at,
            shape="" if is_made else shape,
            reason=compared.reason,
        )

    @staticmethod
    def _count(numbers: dict[str, int], name: str) -> None:
        numbers[name] = numbers.get(name, 0) + 1
