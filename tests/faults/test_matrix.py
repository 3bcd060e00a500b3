"""docs/reference/faults.md names tests that exist, one row for each fault."""

import ast
import re
from pathlib import Path

from tests.support.aws.local_aws import ROOT

TEXT = (ROOT / "docs" / "reference" / "faults.md").read_text()


def defined_in(path: Path) -> set[str]:
    """The names of the test functions in a file."""
    body = ast.parse(path.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_matrix_has_every_fault_once_and_in_order():
    numbers = re.findall(r"^\| (\d+) \|", TEXT, flags=re.MULTILINE)

    assert [int(number) for number in numbers] == list(range(1, 55))


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)

    missing = [f"{file}::{name}" for file, name in named if name not in defined_in(ROOT / file)]

    assert named
    assert missing == []


def test_row_without_a_test_says_why():
    bare = re.findall(r"^\| \d+ \|.*\| — \|$", TEXT, flags=re.MULTILINE)

    assert all("Not tested:" in row for row in bare)


def test_every_failpoint_is_in_the_table():
    code = [path.read_text() for app in ("queues", "emails") for path in (ROOT / app).rglob("*.py")]
    points = set(re.findall(r'failpoint\("(\w+)"\)', "".join(code)))

    assert points == set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, flags=re.MULTILINE))
