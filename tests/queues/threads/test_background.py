import threading

from queues.threads.repeated import Repeated


def test_each_thread_makes_its_own_steps_until_all_are_stopped():
    meeting = threading.Barrier(3)
    ended = []

    def step():
        meeting.wait(5)
        ended.append(threading.get_ident())
        return 0

    repeated = Repeated("test", step, seconds=60, threads=2)
    repeated.start()
    meeting.wait(5)
    repeated.stop(timeout=5)

    assert len(set(ended)) == len(ended) == 2
