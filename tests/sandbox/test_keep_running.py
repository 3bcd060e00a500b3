import os
import signal
import subprocess
import sys

import pytest

from tests.support.aws.local_aws import ROOT
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes

CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


class Keeper:
    def __init__(self, folder):
        self.down = folder / "var" / "consumer-down"
        self.down.parent.mkdir()
        self._output = folder / "output"
        with self._output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.keep_running", sys.executable, "-c", CHILD],
                cwd=folder,
                stdout=file,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def started(self):
        return [int(line) for line in self._output.read_text().split("\n") if line.isdigit()]


@pytest.fixture
def keeper(tmp_path):
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.process.kill()
    keeper.process.wait()
    for child in filter(is_alive, keeper.started()):
        os.kill(child, signal.SIGKILL)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_program_is_started_again(keeper):
    wait_until(keeper.started, what="a start")

    os.kill(keeper.started()[0], signal.SIGKILL)

    wait_until(lambda: len(keeper.started()) == 2, what="a second start")


def test_a_program_that_is_to_be_down_stays_down_until_it_may_run_again(keeper):
    wait_until(keeper.started, what="a start")

    keeper.down.touch()
    wait_until(lambda: not is_alive(keeper.started()[0]), what="the end of the program")
    assert keeper.process.poll() is None
    assert len(keeper.started()) == 1

    keeper.down.unlink()
    wait_until(lambda: len(keeper.started()) == 2, what="a second start")


def test_a_stopped_keeper_ends_its_program(keeper):
    wait_until(keeper.started, what="a start")

    keeper.process.terminate()
    keeper.process.wait(10)

    assert not is_alive(keeper.started()[0])
