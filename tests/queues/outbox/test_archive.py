import json
import resource
import shutil
import signal
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from queues.aws import sqs
from queues.aws.sqs import Received
from queues.outbox.archive import Archive, line

DAY = "2026-11-26"


def message(body='{"id": 1}', number=1):
    return Received(id=f"m-{number}", receipt="r", body=body)


def archive(folder, day=DAY, **options):
    return Archive(folder, today=lambda: day, **options)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_envelope_is_a_line_as_it_was_published():
    body = '{"data": {"price": 1.10, "name": "Ada\\nL\u2028"},\r\n "id": 12345678901234567890}\n'

    written = line(message(body))

    assert written.count(b"\n") == 1
    assert json.loads(written) == json.loads(body)
    assert b"1.10" in written


@pytest.mark.parametrize("body", ["rubbish\nof two lines", "[1]", '{"a": NaN}', ""])
def test_what_is_no_event_is_a_line_that_says_so(body):
    found = json.loads(line(message(body)))

    assert found == {"not_an_event": body, "message_id": "m-1"}


def test_each_day_has_files_of_its_own_and_a_full_one_is_followed_by_another(tmp_path):
    for day, number in ((DAY, 1), (DAY, 2), (DAY, 3), ("2026-11-27", 4)):
        writer = archive(tmp_path, day, max_bytes=20)
        writer.write([message(f'{{"id": {number}}}')])
        writer.close()

    assert files(tmp_path) == {
        f"{DAY}.0001.ndjson": b'{"id": 1}\n{"id": 2}\n',
        f"{DAY}.0002.ndjson": b'{"id": 3}\n',
        "2026-11-27.0001.ndjson": b'{"id": 4}\n',
    }


def test_midnight_ends_a_file_while_it_is_written_to(tmp_path):
    days = iter([DAY, "2026-11-27"])
    writer = Archive(tmp_path, today=lambda: next(days))

    writer.write([message()])
    writer.write([message()])

    assert len(files(tmp_path)) == 2


def test_two_writers_use_two_files(tmp_path):
    first, second = archive(tmp_path), archive(tmp_path)

    for writer in (first, second, first):
        writer.write([message()])

    assert [content.count(b"\n") for content in files(tmp_path).values()] == [2, 1]


@pytest.mark.parametrize("torn", [b'{"id": 2, "da', b"x" * 200_000, b""])
@pytest.mark.parametrize("whole", [b'{"id": 1}\n', b""])
def test_line_that_a_crash_tore_is_cut_off_and_the_next_follows(tmp_path, whole, torn):
    (tmp_path / f"{DAY}.0001.ndjson").write_bytes(whole + torn)

    archive(tmp_path).write([message('{"id": 3}')])

    assert files(tmp_path) == {f"{DAY}.0001.ndjson": whole + b'{"id": 3}\n'}


def test_torn_line_of_an_earlier_day_is_cut_off_and_of_a_living_writer_is_not(tmp_path):
    (tmp_path / "2026-01-01.0001.ndjson").write_bytes(b'{"id": 1}\n{"i')
    living = archive(tmp_path)
    living.write([message()])
    with (tmp_path / f"{DAY}.0001.ndjson").open("ab") as half:
        half.write(b"half a li")

    assert archive(tmp_path).repair() == 1

    assert files(tmp_path)["2026-01-01.0001.ndjson"] == b'{"id": 1}\n'
    assert files(tmp_path)[f"{DAY}.0001.ndjson"].endswith(b"half a li")


def test_file_that_somebody_deleted_is_not_written_to(tmp_path):
    writer = archive(tmp_path)
    writer.write([message(number=1)])
    (tmp_path / f"{DAY}.0001.ndjson").unlink()

    writer.write([message('{"id": 2}')])

    assert files(tmp_path) == {f"{DAY}.0001.ndjson": b'{"id": 2}\n'}


def test_folder_that_is_gone_is_an_error_and_not_a_loss(tmp_path):
    folder = tmp_path / "archive"
    writer = archive(folder)
    writer.write([message()])
    shutil.rmtree(folder)

    with pytest.raises(FileNotFoundError):
        writer.write([message(number=2)])


@pytest.fixture
def small_disk():
    """No file of this process may be larger than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_batch_that_the_disk_does_not_take_leaves_nothing_of_it(tmp_path, small_disk):
    writer = archive(tmp_path)
    writer.write([message()])
    small_disk(25)

    with pytest.raises(OSError, match="too large"):
        writer.write([message(number=2), message(number=3)])

    small_disk(resource.RLIM_INFINITY)
    assert files(tmp_path) == {f"{DAY}.0001.ndjson": b'{"id": 1}\n'}


def test_only_its_owner_may_read_an_archive(tmp_path):
    folder = tmp_path / "archive"

    archive(folder).write([message()])

    assert folder.stat().st_mode & 0o077 == 0
    assert next(folder.iterdir()).stat().st_mode & 0o077 == 0


@pytest.fixture
def queue(settings, aws):
    settings.ARCHIVE_QUEUE = f"archive-{uuid4().hex}"
    settings.TOPICS = {"orders": "facts"}
    found = sqs.archive_queue()
    assert found is not None
    found.create({})
    found.send_batch([sqs.Outgoing(key=str(n), body=f'{{"id": {n}}}') for n in range(7)])
    return found


def test_command_archives_what_is_there_and_deletes_it(queue, tmp_path, capsys):
    call_command("archive_events", "--until-empty", folder=tmp_path)

    [content] = files(tmp_path).values()
    assert sorted(json.loads(each)["id"] for each in content.splitlines()) == list(range(7))
    assert queue.depth() == sqs.Depth(visible=0, in_flight=0, delayed=0)
    assert f"archived 7 event(s) in {tmp_path}" in capsys.readouterr().out


def test_disk_that_takes_nothing_leaves_the_messages_in_the_queue(queue, tmp_path, small_disk):
    small_disk(8)
    try:
        with pytest.raises(CommandError, match=r"archived 0 event\(s\), then: .*too large"):
            call_command("archive_events", "--until-empty", folder=tmp_path)
    finally:
        small_disk(resource.RLIM_INFINITY)

    assert queue.depth().in_flight == 7


def test_command_without_an_archive_queue_says_what_to_set():
    with pytest.raises(CommandError, match="ARCHIVE_QUEUE is not set; set it and TOPIC_<ALIAS>"):
        call_command("archive_events")


def test_folder_that_cannot_be_made_is_named(queue, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandError, match=str(tmp_path / "file")):
        call_command("archive_events", "--until-empty", folder=tmp_path / "file")
