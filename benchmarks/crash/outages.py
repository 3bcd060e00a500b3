"""Take the database, SQS, SES and SES's events away for a while, one after the other: ``make outages``.

Orders trickle in all the time. Exits with 1 unless after each outage all that was ordered before its end is accepted,
once and in order, with no dead letter, without anybody's help.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.crash import unfinished
from benchmarks.crash.judge import judge
from benchmarks.crash.rig import ENDLESS, SHORT_TIMERS, Rig, print_rows
from tests.support import postgres

CONSUMERS = 3
BEFORE_SECONDS = 5.0
# Emails in doubt, so that events that do not come matter.
FAULTS = {"ses_cut_after": 0.02, "ses_cut_before": 0.01}
# Name → the switch of the stub; the database has none.
SWITCHES = {"database": "", "sqs": "sqs_down", "ses": "ses_paused", "events": "events_held"}


def main() -> None:
    """Exit with 1 unless the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in SWITCHES:
        parser.add_argument(
            f"--{name}", type=float, default=20.0, metavar="SECONDS", help="0 leaves it out"
        )
    parser.add_argument("--rate", type=float, default=5.0, help="orders a second")
    parser.add_argument("--drain", type=float, default=180.0, help="seconds until it has failed")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    # PostgreSQL, because SQLite cannot be stopped.
    with Rig(options.folder, database="postgresql", settings=SHORT_TIMERS, stub=FAULTS) as rig:
        is_met = run(rig, options)
    print("met" if is_met else "NOT MET")
    sys.exit(0 if is_met else 1)


def run(rig: Rig, options: argparse.Namespace) -> bool:
    """Make each outage in turn and print its figures; then end all and let the judge look at the whole."""
    for _ in range(CONSUMERS):
        rig.consumer()
    producer = rig.producer(count=ENDLESS, rate=options.rate, refused=0)
    while not rig.control()["accepted"]:
        time.sleep(0.1)
    is_met = True
    for name in SWITCHES:
        if seconds := getattr(options, name):
            time.sleep(BEFORE_SECONDS)
            is_met &= survives(rig, name, seconds=seconds, drain=options.drain)
    crashes = sum(member.exit_code is not None for member in rig.members)
    producer.ask_to_end()
    producer.end()
    unfinished.seconds_to_drain(most=options.drain)
    dead, in_doubt = unfinished.dead(), unfinished.in_doubt()
    verdict = judge(rig.committed(), rig.accepted(), in_doubt=in_doubt, dead=dead)
    print_rows(
        vars(verdict)
        | {"dead letters": len(dead), "in doubt": len(in_doubt), "ended by themselves": crashes}
    )
    return is_met and verdict.is_clean and not (dead or in_doubt or crashes)


def survives(rig: Rig, name: str, *, seconds: float, drain: float) -> bool:
    """One outage; prints how long what was owed at its end took."""
    accepted = rig.control()["accepted"]
    take_away(rig, name)
    time.sleep(seconds)
    meanwhile = rig.control()["accepted"] - accepted
    give_back(rig, name)
    healed_at = datetime.now(UTC)
    drained = unfinished.seconds_to_drain(before=healed_at, most=drain)
    owed, dead = unfinished.owed(before=healed_at), len(unfinished.dead())
    print_rows(
        {
            f"{name} away for {seconds:g} s": f"accepted meanwhile {meanwhile}, drained after "
            f"{drained:.1f} s, owed then {owed}, dead letters {dead}"
        }
    )
    return not (owed or dead)


def take_away(rig: Rig, name: str) -> None:
    """The outage begins."""
    if name == "database":
        _server(rig).crash()
    else:
        rig.control(**{SWITCHES[name]: 1})


def give_back(rig: Rig, name: str) -> None:
    """The outage ends."""
    if name == "database":
        _server(rig).start()
        unfinished.reconnect()
    else:
        rig.control(**{SWITCHES[name]: 0})


def _server(rig: Rig) -> postgres.Server:
    if rig.postgres is None:
        raise RuntimeError("the rig has no server")
    return rig.postgres


if __name__ == "__main__":
    main()
