"""What ``make mutants`` breaks, and that it leaves the working tree alone."""

import subprocess
import sys
import tomllib

import pytest

from benchmarks.mutants.__main__ import EQUIVALENT, RULES
from benchmarks.mutants.mutations import mutants_of
from tests.support.aws.local_aws import ROOT

MODULE = '''\
"""Rows."""
LIMIT = 5


@transaction.atomic
def close(rows, now):
    """Close them."""
    if now and rows:
        rows.filter(kind=1, ends_at__lte=now).update(state=State.DONE)
    logger.info("closed", extra={"n": 1})
    return bool(rows)
'''


def broken(source, line):
    """The texts that a line becomes."""
    encoded = source.encode()
    return {
        after
        for before, after in (
            mutant.changed(encoded) for mutant in mutants_of("module.py", encoded)
        )
        if before == line
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LIMIT = 5", {"LIMIT = (5 * 10)"}),
        ("@transaction.atomic", {""}),
        ("if now and rows:", {"if ((now)):", "if ((rows)):", "if not (now and rows):"}),
        (
            "rows.filter(kind=1, ends_at__lte=now).update(state=State.DONE)",
            {
                "pass",
                "rows.filter(ends_at__lte=now).update(state=State.DONE)",
                "rows.filter(kind=1).update(state=State.DONE)",
                "rows.filter(kind=2, ends_at__lte=now).update(state=State.DONE)",
                "rows.filter(kind=1, ends_at__gt=now).update(state=State.DONE)",
                "rows.filter(kind=1, ends_at__lte=now).update()",
            },
        ),
        ('logger.info("closed", extra={"n": 1})', set()),
    ],
)
def test_line_is_broken_in_each_way_that_may_matter(line, expected):
    assert broken(MODULE, line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "UPDATE t SET state = 'sent', n = %s",
            {
                "UPDATE t SET state = CASE WHEN 1 = 1 THEN state ELSE 'sent' END, n = %s",
                "UPDATE t SET state = 'sent', n = CASE WHEN 1 = 1 THEN n ELSE %s END",
                "UPDATE t SET state = 'active', n = %s",
            },
        ),
        (
            'WHERE id = %s AND q BETWEEN %s AND %s AND "at" < {now}"""',
            {
                'WHERE (id = %s OR 1 = 1) AND q BETWEEN %s AND %s AND "at" < {now}"""',
                'WHERE id = %s AND (q BETWEEN %s AND %s OR 1 = 1) AND "at" < {now}"""',
                'WHERE id = %s AND q BETWEEN %s AND %s AND ("at" < {now} OR 1 = 1)"""',
                'WHERE id = %s AND q BETWEEN %s AND %s AND "at" >= {now}"""',
            },
        ),
    ],
)
def test_statement_of_sql_is_broken_and_keeps_its_parameters(line, expected):
    module = (
        '_SQL = """\\\n'
        "UPDATE t SET state = 'sent', n = %s\n"
        'WHERE id = %s AND q BETWEEN %s AND %s AND "at" < {now}"""\n'
    )

    assert broken(module, line) == expected


@pytest.mark.parametrize("path", RULES)
def test_every_module_of_the_rules_can_be_broken(path):
    assert len(mutants_of(path, (ROOT / path).read_bytes())) > 5


def test_equivalent_mutants_say_why():
    for entry in tomllib.loads(EQUIVALENT.read_text()).get("equivalent", []):
        assert entry["path"] in RULES
        assert entry["before"] != entry["after"]
        assert entry["reason"].endswith(".")


def test_same_seed_gives_the_same_sample():
    command = [sys.executable, "-m", "benchmarks.mutants", "--list", "--count=20", "--seed=7"]

    first, second = (
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for _ in "ab"
    )

    assert first == second
    assert len(first) > 20
