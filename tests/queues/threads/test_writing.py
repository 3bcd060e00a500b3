import threading

import pytest
from django.db import OperationalError, connection

from queues.models import OutboxEvent
from queues.threads import writer


def name_of_thread():
    return threading.current_thread().name


def test_without_a_consumer_a_call_is_a_call():
    assert writer.call(name_of_thread) == name_of_thread()


def test_calls_of_all_threads_are_made_in_one():
    found = []

    with writer.one_thread():
        threads = [
            threading.Thread(target=lambda: found.append(writer.call(name_of_thread)))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(found) == 5
    assert len(set(found)) == 1
    assert name_of_thread() not in found


def test_call_within_a_call_does_not_wait_for_itself():
    with writer.one_thread():
        assert writer.call(lambda: writer.call(name_of_thread)).startswith("write")


def test_error_is_raised_where_the_call_was_made():
    def fail():
        raise OperationalError("locked")

    with writer.one_thread(), pytest.raises(OperationalError, match="locked"):
        writer.call(fail)


def test_after_the_consumer_a_call_is_a_call_again():
    with writer.one_thread():
        pass

    assert writer.call(name_of_thread) == name_of_thread()


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_connection_that_broke_is_replaced_for_the_next_call():
    def break_it():
        connection.ensure_connection()
        connection.connection.close()
        OutboxEvent.objects.count()

    with writer.one_thread():
        with pytest.raises(Exception, match="closed"):
            writer.call(break_it)

        assert writer.call(OutboxEvent.objects.count) == 0
