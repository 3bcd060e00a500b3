import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.crash.fleet import Member, cold
from tests.support.aws.local_aws import ROOT
from tests.support.aws.warm_start import WarmProcess
from tests.support.processes import wait_until

PROGRAM = "import os, time; print(os.environ['PLACE'], os.getpid(), flush=True); time.sleep(60)"


class Sleeper(Member):
    """A process that tells where it is and its pid, and then sleeps."""

    def __init__(self, folder, start):
        program = folder / "sleeper.py"
        program.write_text(PROGRAM)
        environment = os.environ | {"PLACE": folder.name}
        super().__init__(
            [str(program)], environment=environment, log=folder / "sleeper.log", start=start
        )

    @property
    def pids(self):
        return [int(line.split()[1]) for line in self.output().splitlines()]


@pytest.fixture(params=[cold, WarmProcess])
def member(request, tmp_path):
    member = Sleeper(tmp_path, request.param)
    wait_until(lambda: member.pids, what="its start")
    yield member
    member.signal(signal.SIGKILL)
    member.end()


def wait_for_restart(member):
    def restarted():
        member.look_after()
        return len(member.pids) == 2

    wait_until(restarted, what="its second start")


def test_member_has_an_environment_and_a_log_of_its_own(member, tmp_path):
    assert member.output().split()[0] == tmp_path.name


def test_killed_member_is_started_again_and_did_not_crash(member):
    member.signal(signal.SIGKILL)

    wait_for_restart(member)
    assert member.crashes == 0


def test_member_that_ends_by_itself_with_an_error_has_crashed(member):
    os.kill(member.pids[0], signal.SIGABRT)

    wait_for_restart(member)
    assert member.crashes == 1


def test_frozen_member_thaws_when_its_time_is_over(member):
    member.signal(signal.SIGSTOP)
    member.thaws_at = time.monotonic()

    member.look_after()
    member.signal(signal.SIGTERM)

    wait_for_restart(member)


@pytest.mark.soak
@pytest.mark.parametrize("events", ["on", "off"])
def test_nothing_is_lost_doubled_invented_or_out_of_order_whatever_dies(events):
    soak = subprocess.run(
        [sys.executable, "-m", "benchmarks.crash.soak", "--count=150", "--faults=5", "--minutes=4"]
        + [f"--events={events}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert "clean" in soak.stdout


@pytest.mark.soak
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_everything_that_comes_three_times_is_lost_or_hangs_loses_and_doubles_nothing(database):
    soak = subprocess.run(
        [sys.executable, "-m", "benchmarks.crash.soak", "--count=150", "--random", "--minutes=6"]
        + [f"--database={database}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert "clean" in soak.stdout
