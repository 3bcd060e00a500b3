"""One seed is one history: people, processes and Amazon act at random, and no email is lost, doubled or invented.

``python -m tests.faults.world.many_histories 10000`` runs more of them. A seed that fails prints its last acts; the
same seed makes the same history again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from tests.faults.world.interruptions import BORDERS, FAILPOINTS
from tests.faults.world.judgement import Judgement
from tests.faults.world.ses import ANSWERS, FATES, TROUBLES
from tests.faults.world.world import DOUBTS, EVENTS, ORDERS, TRANSACTIONS, World

SEEDS = 200
CHUNKS = 8
ACCOUNTS = 2


class History:
    """Acts drawn with weights, each a step of somebody."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self.world = World(
            self._random.randrange(10**9),
            doubts=self._random.choices(DOUBTS, [6, 3, 1])[0],
            poison=self._random.choice(["skip", "hold"]),
            topics=self._random.random() < 0.5,
            together=self._random.random() < 0.7,
        )
        # Some histories are calm, some are not.
        self._trouble = self._random.choice([0.0, 0.2, 0.5])
        self._acts: dict[Callable[[], object], int] = {
            self._place_order: 4,
            self._post_transaction: 10,
            self._process: 60,
            self._pass_time: 12,
            self._amazon: 12,
            self._staff: 3,
        }

    def run(self) -> None:
        """Raises AssertionError as soon as something is wrong."""
        acts, weights = list(self._acts), list(self._acts.values())
        with self.world as world:
            judgement = Judgement(world)
            for _ in range(self._random.choice([10, 15, 25, 50])):
                self._random.choices(acts, weights)[0]()
                judgement.after_step()
            judgement.at_the_end()

    def _place_order(self) -> None:
        self._interrupt(["before_commit", "sql"])
        self.world.place_order(self._random.randrange(3))

    def _post_transaction(self) -> None:
        self._interrupt(["before_commit", "sql"])
        self.world.post_transaction(self._random.randrange(ACCOUNTS))

    def _process(self) -> None:
        world, draw = self.world, self._random
        self._interrupt([*FAILPOINTS, *BORDERS, *["sql"] * 10])
        self._spoil_aws()
        what = draw.choices(["relay", "consume", "sweep", "collect"], [5, 12, 4, 2])[0]
        if what == "relay":
            world.relay()
        elif what == "consume":
            world.consume(
                draw.choice(world.aliases),
                patience=draw.choices([0, 5, 20, 100, 900], [2, 4, 4, 2, 1])[0],
            )
        elif what == "sweep":
            world.sweep()
        else:
            world.collect(draw.choice(world.aliases))

    def _pass_time(self) -> None:
        self.world.advance(self._random.choice([1, 3, 10, 31, 61, 91, 200, 460, 901]))

    def _amazon(self) -> None:
        world, draw = self.world, self._random
        what = draw.choice(["trouble", "silence", "silence", "verify", "double", "lose", "purge"])
        if what == "trouble":
            world.ses.trouble = draw.choice([*TROUBLES, "", "", ""])
            world.note(f"SES: {world.ses.trouble or 'no trouble'}")
        elif what == "silence":
            world.ses.is_silent = not world.ses.is_silent
            world.note(f"SES is silent: {world.ses.is_silent}")
            if not world.ses.is_silent:
                world.ses.speak()
        elif what == "verify":
            group = draw.choice(["customer-0", "customer-1", "account-0", "account-1"])
            world.ses.unverified ^= {f"{group}@example.com"}
            world.note(f"not verified: {sorted(world.ses.unverified)}")
        elif what == "double":
            alias = draw.choice([alias for alias in world.aliases if alias != TRANSACTIONS])
            world.double(alias, draw.randrange(100))
        elif draw.random() < 0.3:
            alias = draw.choice([ORDERS, TRANSACTIONS, *([EVENTS] * (draw.random() < 0.3))])
            if alias in world.aliases and what == "lose":
                world.lose(alias, draw.randrange(100))
            elif alias in world.aliases:
                world.purge(alias)

    def _staff(self) -> None:
        world, draw = self.world, self._random
        draw.choices(
            [
                world.redrive,
                lambda: world.discard(draw.randrange(100)),
                world.decide,
                lambda: world.publish_again(draw.randrange(100)),
                lambda: world.cancel(draw.randrange(100)),
            ],
            [4, 1, 3, 2, 1],
        )[0]()

    def _interrupt(self, places: list[str]) -> None:
        draw = self._random
        if draw.random() < self._trouble:
            place = draw.choice(places)
            kinds = ["crash", "crash", "freeze"]
            if place == "sql":
                kinds += ["refuse", "refuse once"]
            kind = draw.choice(kinds)
            nth = draw.randint(1, 40 if place == "sql" else 2)
            seconds = draw.choice([5, 40, 70, 140, 290, 2000])
            if place == "before SendEmail":
                # Nothing helps against a call to SES that leaves half an hour late.
                seconds = min(seconds, 290)
            self.world.interruptions.arm(place, nth=nth, kind=kind, seconds=seconds)
            self.world.note(f"({kind} at pass {nth} of {place}, {seconds} s)")

    def _spoil_aws(self) -> None:
        world, draw = self.world, self._random
        if draw.random() < self._trouble / 2:
            world.sqs.fault = draw.choice(["unavailable", "lost", "partial"])
            world.note(f"(SQS: {world.sqs.fault})")
        if draw.random() < self._trouble:
            answer = draw.choice(list(ANSWERS))
            world.ses.answers.append(answer)
            world.note(f"(SES: {answer})")
        if draw.random() < 0.3:
            fates = [fate for fate in FATES if fate != "dropped" or draw.random() < 0.2]
            world.ses.fates.append(draw.choice(fates))


def run(seeds: range) -> Iterator[str]:
    """Run these seeds; yield what went wrong with each that fails."""
    for seed in seeds:
        history = History(seed)
        try:
            history.run()
        except Exception as exc:
            lines = "\n".join(history.world.trace[-200:])
            world = history.world
            kind = f"doubts={world.doubts} poison={world.poison} topics={world.has_topics}"
            yield f"{lines}\nseed {seed} ({kind}): {type(exc).__name__}: {exc}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the clock is that of SQLite")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_history_loses_doubles_or_invents_an_email(chunk):
    size = SEEDS // CHUNKS

    failures = list(run(range(chunk * size, (chunk + 1) * size)))

    assert not failures, "\n\n".join(failures[:1])
