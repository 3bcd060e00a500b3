"""docs/how-to/adding-a-notification.md works in a fresh clone, block by block."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "how-to" / "adding-a-notification.md"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# Ruff knows by the folders what is ours, so the others are there.
_NOT_NEEDED = "docs/"
# What the page tells its reader to do before: `make run`, and an order.
_AN_ORDER = "from tests.support.builders import make_order; make_order()\n"

pytestmark = pytest.mark.processes


@pytest.fixture
def clone(tmp_path):
    """The tracked files that the page needs, in a folder of their own."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in tracked.stdout.decode().split("\0"):
        if name and not name.startswith(_NOT_NEEDED) and (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs" / "events", tmp_path / "docs" / "events")
    return tmp_path


def run(clone, *command, **environment):
    """A command in the clone, with a database of its own; the test fails with what it printed."""
    environment |= {"ENV_FILE": "tests/test.env", "OUTBOX_PUBLISH_ON_COMMIT": "off"}
    environment["DATABASE_URL"] = f"sqlite:///{clone / 'db.sqlite3'}"
    done = subprocess.run(
        command, cwd=clone, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def apply(clone, kind, title, text):
    """Do with a block what the page says."""
    name = title.removesuffix(" (at the end)")
    file = clone / name
    if kind == "diff":
        lines = text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        assert file.read_text().count(old) == 1, f"{name} has these lines not just once:\n{old}"
        file.write_text(
            file.read_text().replace(old, "".join(line[1:] for line in lines if line[0] in " +"))
        )
    elif name != title:
        with file.open("a") as end:
            end.write(f"\n\n{text}")
    else:
        assert not file.exists(), f"{name} is there already"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def commands(text):
    """The command lines of a console block, as this environment has their programs."""
    for line in re.findall(r"^\$ (.+)$", text, flags=re.MULTILINE):
        program, *arguments = line.split()
        assert program.startswith(".venv/bin/"), f"not tried: {line}"
        yield [str(Path(sys.executable).with_name(Path(program).name)), *arguments]


def test_blocks_of_the_page_work_in_a_fresh_clone(clone):
    blocks = _BLOCK.findall(PAGE.read_text())

    for kind, title, text in blocks:
        if kind == "console":
            for command in commands(text):
                run(clone, *command)
        elif title == "manage.py shell":
            run(clone, sys.executable, "manage.py", "shell", "-c", _AN_ORDER + text)
        elif title != "message":
            apply(clone, kind, title, text)

    assert len(blocks) > 10
    assert (clone / "docs" / "events" / "order.shipped.v1.schema.json").exists()
