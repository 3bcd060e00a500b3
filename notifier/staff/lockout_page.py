from __future__ import annotations

import math
from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest

from notifier.models import LoginFailure
from notifier.staff import lockouts
from orders.limits import client_address
from queues import masking
from queues.pages.facts import Act, FactAdmin, column
from queues.pages.listing.time_range import TimeFilter

State = LoginFailure.State


@admin.register(LoginFailure)
class LoginFailureAdmin(FactAdmin):
    list_display = ("account", "origin", "state_label", "failures", "last_at")
    list_filter = (("last_at", TimeFilter), "state")
    search_fields = ("account", "origin")
    search_help_text = "Account or address"
    ordering = ("-last_at", "-id")
    nothing_yet = "A wrong password is counted here for a quarter of an hour."
    fields = (("account", "origin"), ("failures", "last_at"))
    acts = {
        "unlock": Act(
            label="Unlock",
            done="unlocked",
            service=lockouts.unlock,
            states=(State.LOCKED,),
            permission="notifier.unlock_loginfailure",
            reason_required=True,
            question="Unlocking allows five more passwords at once. Do it only if the owner of the account has told "
            "you, in a way that you trust, that they mistyped theirs.",
        ),
    }
    state_colours = {State.LOCKED: "danger", State.COUNTED: "", State.UNLOCKED: "success"}
    personal = {"account": masking.addresses, "origin": client_address.masked}
    findable = ("account", "origin")

    @column(description="state", ordering="state", colours=state_colours)
    def state_label(self, row: LoginFailure) -> tuple[str, str]:
        return row.state, row.get_state_display()

    def explain(self, row: LoginFailure) -> str:
        if row.state == State.UNLOCKED:
            return "Unlocked. The history says by whom and why."
        minutes = math.ceil(lockouts.seconds_left(row) / 60)
        if not minutes:
            return "Expired. It no longer counts, and a consumer will delete it."
        if row.state == State.COUNTED:
            left = lockouts.MOST_FAILURES - row.failures
            return f"{left} more failed attempt{'s' if left > 1 else ''} will lock it."
        return f"Locked from this address for another {minutes} min. The account is open from elsewhere."

    def links(self, request: HttpRequest, row: LoginFailure) -> Iterable[tuple[str, str]]:
        return ()
