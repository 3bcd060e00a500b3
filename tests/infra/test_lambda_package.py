import fcntl
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emails.models import Notification
from infra import lambda_package
from queues.models import HandlingFailure

HERE = Path(__file__).parent
RUNTIME = HERE.parent / "support" / "aws" / "lambda_runtime.py"
# What Lambda sets, and what the template does; nothing of this machine.
ENVIRONMENT = {
    "SECRET_KEY": "a-key-of-the-zip-that-is-long-enough-and-not-for-development",
    "BASE_URL": "https://shop.example.com",
    "SES_FROM_EMAIL": "Notifier Shop <shop@example.com>",
    "SES_CONFIGURATION_SET": "notifier",
    "SES_MAX_SEND_RATE": "1000",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Unpack a zip made for this machine, once for all workers: a test could not call one made for another."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "lambda"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "task").exists():
            unpack(folder)
    return folder / "task"


def unpack(folder):
    output = lambda_package.build(
        folder / "notifier.zip",
        platform="linux" if sys.platform == "linux" else "macos",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
    )
    with zipfile.ZipFile(output) as archive:
        archive.extractall(folder / "unpacked")
    (folder / "unpacked").rename(folder / "task")


def recorded(name):
    return json.loads((HERE / "lambda_events" / f"{name}.json").read_text())


def invoke(unpacked, environment, *events):
    """Return each event's answer, from a bare interpreter."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(RUNTIME), str(unpacked)],
        input="".join(json.dumps(event) + "\n" for event in events),
        env=environment,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line)["answer"] for line in run.stdout.splitlines()[1:]], run.stderr


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_zip_handles_recorded_events_in_a_bare_interpreter(unpacked, platform, local_aws):
    environment = ENVIRONMENT | {
        "AWS_ENDPOINT_URL": local_aws.endpoint,
        "DATABASE_URL": platform.environment["DATABASE_URL"],
        "QUEUE_ORDERS": platform.environment["QUEUE_ORDERS"],
        "QUEUE_TRANSACTIONS": platform.environment["QUEUE_TRANSACTIONS"],
        "SES_CONFIGURATION_SET": platform.environment["SES_CONFIGURATION_SET"],
    }
    orders, transactions = recorded("order_placed"), recorded("transaction_posted_fifo")
    for record in orders["Records"]:
        record["eventSourceARN"] = f"arn:aws:sqs:eu-west-1:1:{environment['QUEUE_ORDERS']}"
    for record in transactions["Records"]:
        record["eventSourceARN"] = f"arn:aws:sqs:eu-west-1:1:{environment['QUEUE_TRANSACTIONS']}"

    (mixed, fifo), log = invoke(unpacked, environment, orders, transactions)

    assert mixed == {
        "batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da"}]
    }
    assert [item["itemIdentifier"][:8] for item in fifo["batchItemFailures"]] == [
        "11d6ee51",
        "2b6a7f5e",
    ]
    assert local_aws.wait_for_mail(to="ada@example.com")["subject"].startswith("Your order")
    assert Notification.objects.get().state == Notification.State.SENT
    codes = HandlingFailure.objects.order_by("pk").values_list("code", flat=True)
    assert list(codes) == ["BadEnvelope", "BadData"]
    assert "ada@example.com" not in log


def test_zip_has_no_tests_and_nothing_that_only_the_web_needs(unpacked):
    present = {path.name for path in unpacked.iterdir()}

    assert present.isdisjoint({"tests", "sandbox", "moto", "gunicorn", ".env"})
    assert not list(unpacked.glob("**/tests"))
    assert {path.name for path in (unpacked / "botocore/data").iterdir() if path.is_dir()} == (
        lambda_package.SERVICES
    )
