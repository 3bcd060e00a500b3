"""A signal ends a process in time, whatever its main thread does; each case is a process of its own."""

import signal
import subprocess
import sys

import pytest

from queues.threads import stopping
from tests.support.aws.local_aws import ROOT

# Waits in C through every signal, as a resolver that gets no answer does: no handler of Python runs meanwhile.
IN_C = """
import ctypes
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
while True:
    libc.pthread_mutex_lock(mutex)
"""
PROGRAM = """
import logging, sys, threading, time
from queues.threads import stopping
logging.basicConfig()
told = threading.Event()
stopping.last_act(lambda: print("saved", flush=True))
with stopping.on_signal(told.set, seconds={seconds}):
    print("ready", flush=True)
    {body}
print("done", flush=True)
"""


def start(body, *, seconds):
    body = body.strip().replace("\n", "\n    ")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body, seconds=seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def rest(process):
    """What it prints from now on, to its end; communicate would miss what is buffered."""
    with process:
        output, errors = process.stdout.read(), process.stderr.read()
    return output, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_that_stops_by_itself_ends_with_0(number):
    process = start("told.wait(60)", seconds=30)
    process.send_signal(number)

    output, _ = rest(process)

    assert (output, process.returncode) == ("done\n", 0)


@pytest.mark.parametrize(
    "body",
    [IN_C, "time.sleep(3600)", "threading.Lock().acquire(); told.wait(3600); time.sleep(3600)"],
)
def test_process_that_hangs_saves_what_it_can_says_where_and_ends(body):
    process = start(body, seconds=0.2)
    process.send_signal(signal.SIGTERM)

    output, errors = rest(process)

    assert (output, process.returncode) == ("saved\n", stopping.HUNG)
    assert "because something hangs: MainThread" in errors


def test_process_that_hangs_at_its_end_is_ended_too():
    body = "threading.Thread(target=time.sleep, args=(3600,)).start(); told.wait(60)"
    process = start(body, seconds=0.2)
    process.send_signal(signal.SIGTERM)

    output, _ = rest(process)

    assert (output, process.returncode) == ("done\nsaved\n", stopping.HUNG)


def test_log_that_hangs_keeps_no_process_alive():
    body = "logging.getLogger().handlers[0].acquire(); " + "told.wait(60); time.sleep(3600)"
    process = start(body, seconds=0.2)
    process.send_signal(signal.SIGTERM)

    output, _ = rest(process)

    assert (output, process.returncode) == ("saved\n", stopping.HUNG)


def test_second_signal_ends_the_process_at_once():
    process = start(IN_C, seconds=3600)
    process.send_signal(signal.SIGTERM)
    # Signals of one kind that wait are one.
    process.send_signal(signal.SIGINT)

    rest(process)

    assert process.returncode == 0


def test_process_that_was_not_told_to_stop_is_not_watched_any_more():
    process = start("pass", seconds=0.1)

    output, _ = rest(process)

    assert (output, process.returncode) == ("done\n", 0)
