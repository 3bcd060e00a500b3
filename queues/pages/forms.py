from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from queues.answers import ORDER, Bucket
from queues.console import moment
from queues.events import unambiguous
from queues.pages.facts import ReasonForm
from queues.redrives.preflight import Forecast

# Above this many, staff must type the number, so that nobody discards a thousand dead letters by a slip.
TYPED_ABOVE = 10
# A redrive of more asks the user again who they are.
PROVEN_ABOVE = 100
# The longest that a dead letter is parked.
MOST_YEARS = 10


class DiscardForm(ReasonForm):
    # All of them are discarded at one time, by which the act can be undone.
    typed = forms.IntegerField(label="How many?", widget=UnfoldAdminIntegerFieldWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at = timezone.now()
        if self.count > TYPED_ABOVE:
            self.fields["typed"].help_text = f"Type {self.count} to confirm."
        else:
            del self.fields["typed"]

    def arguments(self) -> dict[str, Any]:
        return {"at": self._at}

    def clean_typed(self) -> int:
        typed: int = self.cleaned_data["typed"]
        if typed != self.count:
            raise ValidationError(f"There are {self.count}, not {typed}.")
        return typed


class ParkForm(ReasonForm):
    until = forms.DateTimeField(widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}))

    field_order = ("until", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["until"].help_text = f"They come back at this time. Time zone: {zone}."
        tomorrow = timezone.localtime() + timedelta(days=1)
        self.fields["until"].initial = tomorrow.strftime("%Y-%m-%dT%H:%M")
        self.fields["reason"].label = "Note"
        self.fields["reason"].help_text = "For the person who finds them then; recorded in the log."

    def clean_until(self) -> datetime:
        until: datetime = self.cleaned_data["until"]
        if until <= timezone.now():
            raise ValidationError("This time has passed. Give one in the future.")
        # Nobody means more, and at the end of the calendar a time zone leads past its last day.
        if until > timezone.now() + timedelta(days=365 * MOST_YEARS):
            raise ValidationError(f"Park for at most {MOST_YEARS} years.")
        return until

    def arguments(self) -> dict[str, Any]:
        return {"until": self.cleaned_data["until"], "note": self.cleaned_data["reason"]}

    def sentence(self, done: str) -> str:
        until = moment(self.cleaned_data["until"])
        return f"Parked until {until}: {self.cleaned_data['reason']}"


class RedriveForm(forms.Form):
    """Asks with a checkbox for each bucket which dead letters to redrive, then for the canary, rate and reason."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    canary = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="1 dead letter first, then 10, then 100, then the rest. Each step starts when the emails of the "
        "step before were accepted. The redrive stops by itself if the same cause comes back.",
    )
    rate = forms.IntegerField(
        label="Dead letters per second",
        required=False,
        min_value=1,
        max_value=1000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Optional; if empty, as fast as SES's sending rate allows.",
    )
    reason = forms.CharField(
        max_length=300,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Optional; recorded in the log.",
    )

    def __init__(self, *args: Any, forecast: Forecast, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.forecast = forecast
        self.fields["canary"].initial = forecast.count > TYPED_ABOVE
        for bucket in self.buckets():
            number = len(forecast.buckets[bucket])
            self.fields[f"take_{bucket}"] = forms.BooleanField(
                required=False,
                initial=bucket.is_worth_it,
                label=f"{number} {bucket.words}",
                help_text=bucket.consequence,
                widget=UnfoldBooleanWidget,
            )
        if forecast.beyond:
            self.fields["take_rest"] = forms.BooleanField(
                required=False,
                initial=True,
                label=f"{forecast.beyond:,} more, not forecast yet",
                help_text="Each is forecast right before it would be sent back, and skipped if it belongs to what you "
                "do not select above, or would fail.",
                widget=UnfoldBooleanWidget,
            )

    def buckets(self) -> list[Any]:
        return [bucket for bucket in ORDER if self.forecast.buckets.get(bucket)]

    def bucket_fields(self) -> list[forms.BoundField]:
        names = [*self.buckets(), *(["rest"] if self.forecast.beyond else [])]
        return [self[f"take_{name}"] for name in names]

    def other_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("canary", "rate", "reason")]

    def takes_rest(self) -> bool:
        """Return True if what was not forecast goes too."""
        return bool(self.cleaned_data.get("take_rest"))

    @property
    def taken(self) -> int:
        """The number of dead letters that were selected."""
        return len(self.chosen()) + (self.forecast.beyond if self.takes_rest() else 0)

    def reaches_many(self) -> bool:
        """Return True if so many go that the user must prove again who they are."""
        return self.taken > PROVEN_ABOVE

    def selected(self) -> list[Bucket]:
        """Return the selected buckets, and those that are selected by default and had no checkbox."""
        return [
            bucket
            for bucket in Bucket
            if self.cleaned_data.get(f"take_{bucket}", bucket.is_worth_it)
        ]

    def chosen(self) -> list[uuid.UUID]:
        """Return the keys of the forecast dead letters in the selected buckets."""
        return [key for bucket in self.selected() for key in self.forecast.buckets.get(bucket, [])]


class DeadLetterDataForm(forms.Form):
    """Edits the data of a dead letter; ``seen`` is the digest of the body shown, which somebody may have edited."""

    content = forms.CharField(
        label="Data",
        widget=UnfoldAdminTextareaWidget(
            attrs={"rows": 24, "spellcheck": "false", "class": "fact-code"}
        ),
    )
    reason = forms.CharField(
        max_length=300,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Optional; recorded in the log with the names of the changed fields.",
    )
    seen = forms.CharField(max_length=64, widget=forms.HiddenInput)
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean_content(self) -> dict[str, Any]:
        try:
            data = unambiguous.loads(self.cleaned_data["content"])
        except (ValueError, RecursionError) as exc:
            raise ValidationError(f"This is not JSON that can be sent: {exc}.") from exc
        if not isinstance(data, dict):
            raise ValidationError("This is not a JSON object.")
        return data
