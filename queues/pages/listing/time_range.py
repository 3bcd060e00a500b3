"""Filter a list by time: the last hour, today, the last seven days, or from and to, in the reader's time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Field, Model, QuerySet, UUIDField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize

from queues import uuid7

PRESETS = {"hour": "Last hour", "today": "Today", "week": "Last 7 days"}
# By how much a row's key may be older or younger than its time: a transaction, and clocks, take less.
SLACK = timedelta(hours=1)
# A time zone may lead out of the calendar beyond these.
_YEARS = range(1971, 9000)


class TimeFilter(admin.FieldListFilter):
    """Filters by a time that is indexed, or of a small table; ``CreatedFilter`` is for large ones."""

    template = "admin/filters/time_range.html"
    # What the parameters in the URL end with.
    endings = ("_in", "_from", "_to")

    def __init__(
        self,
        field: Field[Any, Any],
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Model],
        model_admin: Any,
        field_path: str,
    ) -> None:
        self._values = {
            ending: params.pop(f"{field_path}{ending}")[-1].strip()
            for ending in self.endings
            if f"{field_path}{ending}" in params
        }
        super().__init__(field, request, params, model, model_admin, field_path)
        self.used_parameters = {
            f"{field_path}{ending}": value for ending, value in self._values.items() if value
        }
        self.title = str(self.title).removesuffix(" at")
        self.begin, self.end = self._range()

    def expected_parameters(self) -> list[str | None]:
        """Return the names of the parameters that this filter reads."""
        return [f"{self.field_path}{ending}" for ending in self.endings]

    def has_output(self) -> bool:
        """Show the filter always."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the rows from the first moment on, and before the last."""
        if self.begin:
            queryset = queryset.filter(**{f"{self.field_path}__gte": self.begin})
        if self.end:
            queryset = queryset.filter(**{f"{self.field_path}__lt": self.end})
        return queryset

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield “all” and the presets, as Django's own filters do; the template adds the form."""
        chosen = self._values.get("_in", "")
        yield {
            "selected": not self.used_parameters,
            "query_string": changelist.get_query_string(remove=self.expected_parameters()),
            "display": "All",
        }
        for name, display in PRESETS.items():
            yield {
                "selected": chosen == name,
                "query_string": changelist.get_query_string(
                    {f"{self.field_path}_in": name},
                    [f"{self.field_path}_from", f"{self.field_path}_to"],
                ),
                "display": display,
            }

    @property
    def words(self) -> str:
        """The range in words; empty if there is none."""
        if preset := PRESETS.get(self._values.get("_in", "")):
            return preset.lower()
        ends = (("from", self.begin), ("to", self.end))
        return " ".join(f"{word} {localize(timezone.localtime(at))}" for word, at in ends if at)

    @property
    def inputs(self) -> list[dict[str, str]]:
        """The two fields of the form, with what they say now."""
        ends = (("_from", "From"), ("_to", "To"))
        return [
            {
                "name": f"{self.field_path}{ending}",
                "label": label,
                "value": self._values.get(ending, ""),
            }
            for ending, label in ends
        ]

    @property
    def others(self) -> list[tuple[str, str]]:
        """The rest of the list's query, which the form keeps."""
        own = {*self.expected_parameters(), "p", "e"}
        pairs: Mapping[str, list[Any]] = dict(self.request.GET.lists())
        return [(name, value) for name in pairs if name not in own for value in pairs[name]]

    def _range(self) -> tuple[datetime | None, datetime | None]:
        if preset := self._values.get("_in"):
            return _since(preset), None
        return _moment(self._values.get("_from", "")), _moment(
            self._values.get("_to", ""), is_end=True
        )


class CreatedFilter(TimeFilter):
    """Filters by the time when a row was made, by the primary key, which follows it: the time has no index.

    The key is a UUID of version 7, or a number that counts up.
    """

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select by the time, among those rows alone whose key can be of that time."""
        queryset = super().queryset(request, queryset)
        if self.begin:
            queryset = queryset.filter(pk__gte=self._key(queryset.model, self.begin - SLACK))
        if self.end:
            queryset = queryset.filter(pk__lte=self._key(queryset.model, self.end + SLACK))
        return queryset

    def _key(self, model: type[Model], at: datetime) -> UUID | int:
        if isinstance(model._meta.pk, UUIDField):
            return uuid7.first_of(at)
        return _first_number(model, self.field_path, at)


def _since(preset: str) -> datetime:
    now = timezone.now()
    match preset:
        case "hour":
            return now - timedelta(hours=1)
        case "week":
            return now - timedelta(days=7)
        case "today":
            return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    raise IncorrectLookupParameters(f"no such range: {preset}")


def _moment(text: str, *, is_end: bool = False) -> datetime | None:
    """Read a day or a time in the reader's zone; a range that ends with a day holds all of it."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.year not in _YEARS:
            raise ValueError(text)
    except ValueError as exc:
        raise IncorrectLookupParameters(f"no time: {text}") from exc
    if is_end and len(text) <= len("2026-12-01"):
        at += timedelta(days=1)
    return at if timezone.is_aware(at) else timezone.make_aware(at)


def _first_number(model: type[Model], field: str, at: datetime) -> int:
    """Find the first key whose row is not older, by halving: some twenty look-ups in the index of keys."""
    rows = model._default_manager.order_by("pk").values_list("pk", field)
    first, last = rows.first(), rows.last()
    if first is None or last is None:
        return 0
    low, high = first[0], last[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = rows.filter(pk__gte=middle).first()
        if found is None or found[1] >= at:
            high = middle
        else:
            low = found[0] + 1
    return int(low)
