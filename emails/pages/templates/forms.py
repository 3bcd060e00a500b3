from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from emails.checking.sources import ROOTS
from emails.rendering import languages
from queues.events import locales

_FILE = "file:"


class DraftForm(forms.Form):
    """The sources of a draft, each in a field such as ``file:subject.hbs``, and what to preview them with."""

    why = forms.CharField(
        label="What changes, and why",
        max_length=300,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="For whoever publishes it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        posted = self.data.get("revision", self.initial.get("revision", 0))
        self.revision = int(posted) if str(posted).isascii() and str(posted).isdigit() else 0
        self.sources: Mapping[str, str] = self._posted() if self.is_bound else self.initial["files"]

    def value(self, name: str) -> str:
        """Return what was posted under this name."""
        return str(self.data.get(name, ""))

    def at(self, revision: int) -> DraftForm:
        """Return the form on top of what was saved last."""
        self.revision = revision
        return self

    def with_language(self) -> DraftForm:
        """Return the form with the files of one more language, which begin as those of the base language."""
        try:
            tag = locales.canonical(self.value("language_to_add").strip())
        except ValueError:
            self.add_error(None, "That is no language tag. Write one such as de, ar or pt-BR.")
            return self
        if tag and tag != languages.BASE:
            base = {name: self.sources[name] for name in ROOTS if name in self.sources}
            self.sources = {f"{tag}/{name}": text for name, text in base.items()} | {**self.sources}
        return self

    def _posted(self) -> dict[str, str]:
        """Return the files that are not empty; browsers end lines as HTTP does."""
        found = {
            name.removeprefix(_FILE): str(self.data[name]).replace("\r\n", "\n")
            for name in self.data
            if name.startswith(_FILE)
        }
        return {name: text for name, text in found.items() if text.strip()}


class DecisionForm(forms.Form):
    """Asks why a version is put in force; ``seen`` is the revision of what the person looked at."""

    seen = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with the version, and recorded in the log.",
    )
