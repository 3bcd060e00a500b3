"""The small versions of what ``make rate`` and the like run."""

import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.crash.producer import plan
from benchmarks.crash.rate import Result, worst_second
from tests.support.aws.local_aws import ROOT


def test_worst_second_may_begin_anywhere():
    assert worst_second([0.0, 0.6, 0.9, 1.2, 1.5, 1.59, 5.0]) == 5
    assert worst_second([]) == 0


RESULT = Result(limit=14, processes=4, mean=13.6, worst_second=16, too_fast=0, cores=0.3)


@pytest.mark.parametrize(
    ("changed", "is_met"),
    [
        ({}, True),
        ({"mean": 13.5}, False),
        ({"worst_second": 22}, False),
        ({"too_fast": 1}, False),
    ],
)
def test_rate_is_filled_only_without_bunching_and_throttles(changed, is_met):
    result = replace(RESULT, **changed)

    assert result.is_met == is_met
    assert result.row().endswith("| met |" if is_met else "| NOT MET |")


def test_producers_share_no_account_and_all_facts():
    options: dict[str, Any] = {
        "seed": 1,
        "transactions": 1.0,
        "accounts": 7,
        "refused": 0,
        "producers": 3,
    }
    accounts = [
        {
            plan(n, Namespace(number=number, **options)).account
            for n in range(number + 1, 300, options["producers"])
        }
        for number in range(3)
    ]

    assert len(set.union(*accounts)) == 7 == sum(len(mine) for mine in accounts)


@pytest.mark.soak
@pytest.mark.parametrize(
    "trial",
    [
        ["rate", "--limit=14", "--processes=2", "--seconds=10"],
        ["stops", "--stops=5"],
        ["recovery", "--rounds=1", "--rate=10"],
        ["outages", "--database=5", "--sqs=5", "--ses=5", "--events=5", "--rate=3"],
    ],
    ids=lambda trial: trial[0],
)
def test_small_trial_meets_its_goals(trial):
    name, *options = trial

    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.crash.{name}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
