import threading

import pytest

from queues.threads.worker_pool import WorkerPool


class Work:
    """Jobs that say when they have begun, and end one by one when they are let."""

    def __init__(self, pool, *, jobs):
        self.begun = threading.Semaphore(0)
        self._may_end = threading.Semaphore(0)
        for _ in range(jobs):
            pool.submit(self._job)

    def _job(self):
        self.begun.release()
        self._may_end.acquire(timeout=10)

    def has_begun(self, count):
        """True if exactly so many begin."""
        return all(self.begun.acquire(timeout=5) for _ in range(count)) and not self.begun.acquire(
            timeout=0.05
        )

    def end(self, count):
        self._may_end.release(count)


@pytest.fixture
def pool():
    pool = WorkerPool("test", size=2)
    yield pool
    pool.resize(0)
    pool.join(timeout=5)


def test_no_more_than_its_size_work_at_once_and_the_others_follow(pool):
    work = Work(pool, jobs=5)

    assert work.has_begun(2)
    work.end(1)
    assert work.has_begun(1)
    work.end(4)
    assert work.has_begun(2)


def test_larger_pool_begins_at_once_what_waits(pool):
    work = Work(pool, jobs=5)
    assert work.has_begun(2)

    pool.resize(4)

    assert work.has_begun(2)
    work.end(5)


def test_smaller_pool_begins_nothing_until_enough_have_ended(pool):
    pool.resize(4)
    work = Work(pool, jobs=6)
    assert work.has_begun(4)

    pool.resize(1)
    work.end(3)
    assert work.has_begun(0)
    work.end(1)

    assert work.has_begun(1)
    assert len(pool) == 1
    work.end(2)


def test_threads_are_made_only_for_jobs(pool):
    pool.resize(8)

    work = Work(pool, jobs=3)

    assert work.has_begun(3)
    assert len(pool) == 3
    work.end(3)


def test_job_that_fails_ends_no_thread(pool, caplog):
    pool.resize(1)
    pool.submit(lambda: 1 // 0)

    work = Work(pool, jobs=1)

    assert work.has_begun(1)
    assert "left to its visibility timeout" in caplog.text
    work.end(1)


def test_dismissed_pool_ends_its_threads(pool):
    work = Work(pool, jobs=2)
    assert work.has_begun(2)

    pool.resize(0)
    work.end(2)
    pool.join(timeout=5)

    assert len(pool) == 0
