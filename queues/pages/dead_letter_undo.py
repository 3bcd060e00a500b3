"""Offer to undo an act on dead letters, in the message that says what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.loader import render_to_string

from queues.console import list_url
from queues.dead_letters import causes
from queues.models import DeadLetter
from queues.pages.facts import ReasonForm

# An act on so many ticked dead letters is undone by their keys; they are one page of the list.
MOST_KEYS = 100
# The act that undoes another, the state in which it finds the rows, and the field that tells them from others.
_UNDONE_BY = {
    "discard": ("reopen", {"state__exact": "discarded"}, "discarded_at", "at"),
    "park": ("unpark", {"state__exact": "open", "parked": "yes"}, "parked_until", "until"),
}


class Done:
    """The dead letters that one act has changed: how many of each cause, and the first keys."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.keys: list[str] = []

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Count these, too."""
        self.counts.update(causes.key_of(letter.fingerprint) for letter in letters)
        self.keys += [str(letter.pk) for letter in letters[: MOST_KEYS + 1 - len(self.keys)]]


def offer(request: HttpRequest, name: str, done: Done, form: ReasonForm | None) -> None:
    """Add a message with the button, where the act can be undone exactly."""
    if name not in _UNDONE_BY or not done.keys or form is None:
        return
    act, query, column, argument = _UNDONE_BY[name]
    is_whole = request.POST.get("select_across") == "1"
    if is_whole and len(done.counts) == 1:
        [key] = done.counts
        at: datetime = form.arguments()[argument]
        query = query | {"fingerprint": key, column: at.isoformat()}
    elif is_whole or len(done.keys) > MOST_KEYS:
        return
    context = {
        "address": f"{list_url(DeadLetter)}?{urlencode(query)}",
        "act": act,
        "keys": done.keys[:1] if is_whole else done.keys,
        "is_whole": is_whole,
        "from_row": request.POST.get("from_row"),
        "selected_name": ACTION_CHECKBOX_NAME,
    }
    html = render_to_string("admin/queues/dead_letter_undo.html", context, request=request)
    messages.info(request, html)
