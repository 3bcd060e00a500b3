"""The published contract of events: up to date, valid, and as strict as the consumer."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from django.core.management import CommandError, call_command

from queues.errors import Reject
from queues.events.envelope import Event
from queues.models import OutboxEvent
from tests.support.aws.local_aws import ROOT
from tests.support.builders import make_order, make_transaction

FOLDER = ROOT / "docs" / "events"


def schema(event_type):
    return json.loads((FOLDER / f"{event_type}.schema.json").read_text())


def test_published_contract_is_up_to_date():
    # In a process of its own: other tests make types of events.
    command = [sys.executable, "manage.py", "export_schemas", "--check"]
    environment = {"ENV_FILE": str(ROOT / "tests" / "test.env"), "PATH": ""}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_stale_file_is_named_and_written_anew(tmp_path):
    call_command("export_schemas", folder=tmp_path)
    (tmp_path / "order.placed.v1.schema.json").write_text("{}")
    (tmp_path / "gone.v1.schema.json").write_text("{}")

    with pytest.raises(CommandError, match=r"gone.v1.schema.json, order.placed.v1.schema.json"):
        call_command("export_schemas", folder=tmp_path, check=True)
    call_command("export_schemas", folder=tmp_path)

    call_command("export_schemas", folder=tmp_path, check=True)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.schema.json")), ids=lambda path: path.name)
def test_schema_is_one(path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_asyncapi_document_is_one_by_the_schema_of_that_standard():
    schema = json.loads(
        gzip.decompress((Path(__file__).parent / "asyncapi" / "3.0.0.json.gz").read_bytes())
    )
    document = json.loads((FOLDER / "asyncapi.json").read_text())
    judge = jsonschema.Draft7Validator(schema)

    assert not list(judge.iter_errors(document))
    # It looks into channels too.
    document["channels"]["transactions"]["bindings"]["sqs"]["queue"]["fifoQueue"] = "yes"
    assert not judge.is_valid(document)


def test_every_reference_of_the_asyncapi_document_leads_somewhere():
    document = json.loads((FOLDER / "asyncapi.json").read_text())

    for reference in _references(document):
        if reference.startswith("./"):
            assert (FOLDER / reference).exists()
        else:
            place = document
            for key in reference.removeprefix("#/").split("/"):
                place = place[key]


def _references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from _references(item)


@pytest.mark.django_db
@pytest.mark.parametrize("make", [make_order, make_transaction])
def test_what_we_publish_fits(make):
    make()
    row = OutboxEvent.objects.get()

    jsonschema.validate(json.loads(row.body), schema(row.type))


WRONG = {
    "line end": ("description", "a\nb"),
    "NUL": ("description", "a\0b"),
    "separator": ("description", "a\u2028b"),
    "direction": ("description", "a\u202eb"),
    "empty reference": ("reference", ""),
    "long reference": ("reference", "r" * 51),
    "no amount": ("amount_cents", 0),
    "text for an amount": ("amount_cents", "150"),
    "part of a cent": ("amount_cents", 1.5),
    "too much": ("balance_cents", 10**16),
    "unknown kind": ("kind", "gift"),
    "unknown currency": ("currency", "XXX"),
    "account that is none": ("account", "4821"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("field", "value"), WRONG.values(), ids=WRONG)
def test_schema_refuses_what_the_consumer_refuses(field, value):
    make_transaction()
    event = json.loads(OutboxEvent.objects.get().body)
    wrong = copy.deepcopy(event)
    wrong["data"][field] = value

    with pytest.raises(Reject):
        Event.from_json(json.dumps(wrong))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema("transaction.posted.v1"))
