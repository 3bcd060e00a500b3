import threading

import pytest

from queues.threads.worker_pool import Crew


class Work:
    """Jobs that say when they have begun, and end one by one when they are let."""

    def __init__(self, crew, *, jobs):
        self.begun = threading.Semaphore(0)
        self._may_end = threading.Semaphore(0)
        for _ in range(jobs):
            crew.submit(self._job)

    def _job(self):
        self.begun.release()
        self._may_end.acquire(timeout=10)

    def has_begun(self, count):
        """Whether exactly so many begin."""
        return all(self.begun.acquire(timeout=5) for _ in range(count)) and not self.begun.acquire(
            timeout=0.05
        )

    def end(self, count):
        self._may_end.release(count)


@pytest.fixture
def crew():
    crew = Crew("test", size=2)
    yield crew
    crew.resize(0)
    crew.join(timeout=5)


def test_no_more_than_its_size_work_at_once_and_the_others_follow(crew):
    work = Work(crew, jobs=5)

    assert work.has_begun(2)
    work.end(1)
    assert work.has_begun(1)
    work.end(4)
    assert work.has_begun(2)


def test_larger_crew_begins_at_once_what_waits(crew):
    work = Work(crew, jobs=5)
    assert work.has_begun(2)

    crew.resize(4)

    assert work.has_begun(2)
    work.end(5)


def test_smaller_crew_begins_nothing_until_enough_have_ended(crew):
    crew.resize(4)
    work = Work(crew, jobs=6)
    assert work.has_begun(4)

    crew.resize(1)
    work.end(3)
    assert work.has_begun(0)
    work.end(1)

    assert work.has_begun(1)
    assert len(crew) == 1
    work.end(2)


def test_threads_are_made_only_for_jobs(crew):
    crew.resize(8)

    work = Work(crew, jobs=3)

    assert work.has_begun(3)
    assert len(crew) == 3
    work.end(3)


def test_job_that_fails_ends_no_thread(crew, caplog):
    crew.resize(1)
    crew.submit(lambda: 1 // 0)

    work = Work(crew, jobs=1)

    assert work.has_begun(1)
    assert "left to its visibility timeout" in caplog.text
    work.end(1)


def test_dismissed_crew_ends_its_threads(crew):
    work = Work(crew, jobs=2)
    assert work.has_begun(2)

    crew.resize(0)
    work.end(2)
    crew.join(timeout=5)

    assert len(crew) == 0
