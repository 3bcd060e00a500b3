import os
import signal
import socket
import time
from threading import Thread

import pytest
from botocore.exceptions import HTTPClientError
from django.core.management import CommandError, call_command

from tests.support.aws.local_aws import LocalAws


@pytest.mark.parametrize("off", ["DEBUG", "SANDBOX"])
def test_command_refuses_production_settings(settings, off):
    settings.DEBUG = settings.SANDBOX = True
    setattr(settings, off, False)

    with pytest.raises(CommandError, match="for development"):
        call_command("local_aws", port=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "ministack"])  # noqa: S104 (refused)
def test_command_refuses_to_listen_to_other_machines(settings, host):
    settings.DEBUG = True

    with pytest.raises(CommandError, match="this machine only"):
        call_command("local_aws", host=host, port=0)


def test_command_says_that_the_port_is_taken(settings):
    settings.DEBUG = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(CommandError, match=f"Cannot listen on 127.0.0.1:{port}"):
            call_command("local_aws", host="127.0.0.1", port=port)


@pytest.mark.processes
def test_server_ends_at_once_though_long_polls_wait():
    with LocalAws() as aws:
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        poll = Thread(target=_poll, args=(sqs, url))
        poll.start()
        time.sleep(0.2)
        began = time.monotonic()

        os.kill(aws.pid, signal.SIGINT)

        assert aws.wait() == 0
        assert time.monotonic() - began < 5
        poll.join()


def _poll(sqs, url):
    with pytest.raises(HTTPClientError):
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
