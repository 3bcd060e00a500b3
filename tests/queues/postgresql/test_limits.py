"""A PostgreSQL that hangs is given up, and one that is only slow is not."""

import environ
import pytest
from django.db import OperationalError, connection

from queues.postgresql import base, limits
from queues.postgresql.limits import Limits
from tests.support import postgres

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.locking,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file has no server"),
]


@pytest.fixture(scope="module")
def shared_server():
    """One server for all tests of this module."""
    return postgres.Server()


@pytest.fixture
def server(shared_server):
    yield shared_server
    shared_server.thaw()


@pytest.fixture
def other(server, monkeypatch):
    """A connection of Django's to that server, and nothing remembered of it."""
    monkeypatch.setattr(base, "_question", base._Question())
    # Whoever imports the Lambda handler in this process sets its limits.
    monkeypatch.setattr(limits, "_process", Limits())
    wrapper = connection.copy("other")
    found = environ.Env.db_url_config(server.url)
    found["OPTIONS"] = found.get("OPTIONS", {}) | {"connect_timeout": 2}
    wrapper.settings_dict = {**connection.settings_dict, **found}
    yield wrapper
    wrapper.close()


def ask(wrapper, sql="SELECT 1"):
    with wrapper.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_statement_that_is_too_long_is_ended_by_the_server(other):
    with limits.used(Limits(0.2, 0.2)), pytest.raises(OperationalError, match="statement timeout"):
        ask(other, "SELECT pg_sleep(60)")


def test_process_without_a_limit_sets_none(other):
    assert ask(other, "SHOW statement_timeout") == "0"


def test_server_that_hangs_is_given_up_and_works_again(server, other, monkeypatch):
    monkeypatch.setattr(limits, "SILENCE_SECONDS", 0.2)
    with limits.used(Limits(0.3, 0.3)):
        assert ask(other) == 1
        server.freeze()
        with pytest.raises(OperationalError, match="has not answered"):
            ask(other)
        assert not other.is_usable()

        server.thaw()
        other.close()
        assert ask(other) == 1


def test_slow_statement_of_a_page_goes_on_while_the_server_answers_others(other, monkeypatch):
    monkeypatch.setattr(base, "ASK_SECONDS", 0.1)

    with limits.used(Limits(60, 60, asks=True)):
        assert ask(other, "SELECT 1 FROM pg_sleep(0.5)") == 1


def test_page_does_not_wait_its_whole_time_for_a_server_that_hangs(server, other, monkeypatch):
    monkeypatch.setattr(base, "ASK_SECONDS", 0.1)
    with limits.used(Limits(3600, 3600, asks=True)):
        assert ask(other) == 1
        server.freeze()
        with pytest.raises(OperationalError, match="has not answered"):
            ask(other)

        # The next page does not even try, for a moment.
        other.close()
        with pytest.raises(OperationalError, match="a moment ago"):
            ask(other)
