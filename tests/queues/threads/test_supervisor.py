"""Several processes under one: what ends them, and what starts them again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builders import make_order
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]
PROLOGUE = """
import logging, os, signal, sys, time
from django.conf import settings
from django.core.management.base import CommandError
settings.configure(DATABASES={})
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
from queues.threads.supervisor import Crashed, Supervisor

def say(text):
    os.write(1, f"{text}\\n".encode())

def stop(*args):
    say(f"stopped {os.getpid()}")
    os._exit(0)

def wait():
    signal.signal(signal.SIGTERM, stop)
    say(f"waiting {os.getpid()}")
    time.sleep(60)
"""


class Supervised:
    """A supervisor as a process; what it and its children say goes to one file."""

    def __init__(self, log, work, options):
        script = f"{PROLOGUE}\ndef work(number):\n    {work}\nsys.exit(Supervisor(work, {options}).run())"
        self._log = log
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", script], cwd=ROOT, stdout=output, stderr=output
            )

    @property
    def lines(self):
        return self._log.read_text().splitlines()

    def said(self, start):
        """Return the rest of each line that begins with ``start``."""
        return [line.removeprefix(start).strip() for line in self.lines if line.startswith(start)]

    def wait_for(self, start, count):
        wait_until(lambda: len(self.said(start)) >= count, what=f"{count} x {start}: {self.lines}")
        return self.said(start)

    def signal(self, number):
        self.process.send_signal(number)

    def code(self):
        return self.process.wait(60)


@pytest.fixture
def supervised(tmp_path):
    started = []

    def start(work, *, processes=2, is_endless=True, **options):
        options = {"processes": processes, "is_endless": is_endless} | options
        written = ", ".join(f"{name}={value!r}" for name, value in options.items())
        started.append(Supervised(tmp_path / "log", work, written))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_ends_well_when_all_have_ended_well(supervised):
    here = supervised("say(f'number {number}')", processes=3, is_endless=False)

    assert here.code() == 0
    assert sorted(here.said("number")) == ["0", "1", "2"]


def test_signal_stops_every_process(supervised):
    here = supervised("wait()")
    pids = here.wait_for("waiting", 2)

    here.signal(signal.SIGTERM)

    assert here.code() == 0
    assert sorted(here.said("stopped")) == sorted(pids)


def test_process_that_was_killed_is_started_again(supervised):
    here = supervised("wait()")
    pids = here.wait_for("waiting", 2)

    os.kill(int(pids[0]), signal.SIGKILL)
    pids = here.wait_for("waiting", 3)

    assert any("ended with signal 9, starting again in 1 s" in line for line in here.lines)
    here.signal(signal.SIGINT)
    assert here.code() == 0
    assert set(here.said("stopped")) == set(pids[1:])


@pytest.mark.parametrize("error", ["Crashed('a bug')", "KeyError('a bug')"])
def test_process_that_crashed_is_started_again(supervised, error):
    here = supervised(f"say('begun'); raise {error}", processes=1)

    here.wait_for("begun", 2)
    assert any("ended with code 70" in line for line in here.lines)


def test_process_that_cannot_work_ends_them_all(supervised):
    here = supervised("wait() if number else None\n    raise CommandError('no such queue')")

    assert here.code() == 1
    assert "CommandError: no such queue" in here.lines
    assert len(here.said("started")) == 2


DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); say('deaf'); time.sleep(60)"


def test_second_signal_kills(supervised):
    here = supervised(DEAF)
    here.wait_for("deaf", 2)

    here.signal(signal.SIGTERM)
    here.signal(signal.SIGINT)

    assert here.code() == 0


def test_what_does_not_stop_in_time_is_killed(supervised):
    here = supervised(DEAF, stop_seconds=0.3)
    here.wait_for("deaf", 2)

    here.signal(signal.SIGTERM)

    assert here.code() == 1
    assert "killing processes that have not stopped within 0 s" in here.lines


def test_processes_end_with_a_supervisor_that_is_killed(supervised):
    here = supervised("wait()")
    pids = here.wait_for("waiting", 2)

    here.signal(signal.SIGKILL)

    assert sorted(here.wait_for("stopped", 2)) == sorted(pids)


def test_two_consumers_in_one_command_send_what_is_ordered(platform):
    consumer = platform.manage("consume_queue", "--processes=2", "--concurrency=2")
    wait_until(lambda: consumer.output.count("consuming") == 2, what="two consumers")
    for _ in range(4):
        make_order()

    wait_until(lambda: len(platform.aws.mail()) == 4, what="four emails")

    assert consumer.stop() == 0
    assert consumer.output.count("stopped: nothing in flight") == 2
