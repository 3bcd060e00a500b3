"""Hypothesis looks for the shortest story in which an email is lost, doubled, invented or out of order.

The product is the real one, its processes stepped one by one; SQS, SNS, SES and time are replaced
(``tests.faults.world.world``).
"""

from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.world.interruptions import BORDERS, FAILPOINTS
from tests.faults.world.judgement import Judgement
from tests.faults.world.ses import ANSWERS, FATES, TROUBLES
from tests.faults.world.world import DOUBTS, EVENTS, ORDERS, TRANSACTIONS, World

ALIASES = st.sampled_from([TRANSACTIONS, ORDERS, EVENTS])
NUMBERS = st.integers(0, 9)
SECONDS = st.sampled_from([1, 10, 31, 61, 91, 200, 460, 901])
# Of a process: nothing happens to it, or it dies or freezes somewhere, or loses its database.
MISHAPS = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from([*FAILPOINTS, *BORDERS]),
        st.just(1),
        st.sampled_from(["crash", "freeze"]),
        st.sampled_from([5, 70, 290]),
    ),
    st.tuples(
        st.just("sql"),
        st.integers(1, 30),
        st.sampled_from(["crash", "freeze", "refuse", "refuse once"]),
        st.sampled_from([5, 70, 2000]),
    ),
)


class Machine(RuleBasedStateMachine):
    """One world, and everything that may happen in it."""

    @initialize(
        seed=st.integers(0, 99),
        doubts=st.sampled_from(DOUBTS),
        poison=st.sampled_from(["skip", "hold"]),
        topics=st.booleans(),
        together=st.booleans(),
    )
    def begin(self, seed, doubts, poison, topics, together):
        self.world = World(seed, doubts=doubts, poison=poison, topics=topics, together=together)
        self.world.__enter__()
        self.judgement = Judgement(self.world)
        self.is_right = True

    @rule(customer=st.integers(0, 1), mishap=MISHAPS)
    def place_order(self, customer, mishap):
        self._befall(mishap)
        self.world.place_order(customer)

    @rule(account=st.integers(0, 1), mishap=MISHAPS)
    def post_transaction(self, account, mishap):
        self._befall(mishap)
        self.world.post_transaction(account)

    @rule(mishap=MISHAPS)
    def relay(self, mishap):
        self._befall(mishap)
        self.world.relay()

    @rule(alias=ALIASES, patience=st.sampled_from([20, 0, 900]), mishap=MISHAPS)
    def consume(self, alias, patience, mishap):
        if alias in self.world.aliases:
            self._befall(mishap)
            self.world.consume(alias, patience=patience)

    @rule(mishap=MISHAPS)
    def sweep(self, mishap):
        self._befall(mishap)
        self.world.sweep()

    @rule(alias=ALIASES, mishap=MISHAPS)
    def collect(self, alias, mishap):
        if alias in self.world.aliases:
            self._befall(mishap)
            self.world.collect(alias)

    @rule(seconds=SECONDS)
    def advance(self, seconds):
        self.world.advance(seconds)

    @rule(answer=st.sampled_from(list(ANSWERS)))
    def ses_will_answer(self, answer):
        self.world.ses.answers.append(answer)

    @rule(fate=st.sampled_from(list(FATES)))
    def ses_will_tell(self, fate):
        self.world.ses.fates.append(fate)

    @rule(trouble=st.sampled_from(["", *TROUBLES]))
    def ses_is_in_trouble(self, trouble):
        self.world.ses.trouble = trouble

    @rule(address=st.sampled_from(["customer-0@example.com", "account-0@example.com"]))
    def ses_verifies_or_forgets(self, address):
        self.world.ses.unverified ^= {address}

    @rule(is_silent=st.booleans())
    def ses_falls_silent_or_speaks(self, is_silent):
        self.world.ses.is_silent = is_silent
        if not is_silent:
            self.world.ses.speak()

    @rule(fault=st.sampled_from(["unavailable", "lost", "partial"]))
    def sqs_will_fail(self, fault):
        self.world.sqs.fault = fault

    @rule(alias=st.sampled_from([ORDERS, EVENTS]), number=NUMBERS)
    def sqs_doubles(self, alias, number):
        self.world.double(alias, number)

    @rule(alias=ALIASES, number=NUMBERS)
    def sqs_loses(self, alias, number):
        self.world.lose(alias, number)

    @rule(alias=ALIASES)
    def somebody_purges(self, alias):
        self.world.purge(alias)

    @rule()
    def staff_redrive(self):
        self.world.redrive()

    @rule()
    def staff_decide(self):
        self.world.decide()

    @rule(number=NUMBERS)
    def staff_discard(self, number):
        self.world.discard(number)

    @rule(number=NUMBERS)
    def staff_publish_again(self, number):
        self.world.publish_again(number)

    @rule(number=NUMBERS)
    def staff_cancel(self, number):
        self.world.cancel(number)

    @invariant()
    def all_is_right(self):
        self.is_right = False
        self.judgement.after_step()
        self.is_right = True

    def teardown(self):
        try:
            if self.is_right:
                self.judgement.at_the_end()
        finally:
            print("\n".join(self.world.trace[-200:]))
            self.world.__exit__(None, None, None)

    def _befall(self, mishap):
        if mishap:
            place, nth, kind, seconds = mishap
            # Nothing helps against a call to SES that leaves half an hour late.
            seconds = min(seconds, 290) if place == "before SendEmail" else seconds
            self.world.interruptions.arm(place, nth=nth, kind=kind, seconds=seconds)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the clock is that of SQLite")
def test_no_story_loses_doubles_or_invents_an_email():
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
