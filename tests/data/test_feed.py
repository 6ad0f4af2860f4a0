import itertools
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.data.feed import count_waiting, prefetch, readers


def workers_alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=30), st.integers(0, 4), st.integers(1, 8))
def test_order_is_kept(items, workers, depth):
    assert list(prefetch(items, lambda item: item * 2, workers=workers, depth=depth)) == [item * 2 for item in items]


def test_order_is_kept_when_later_items_are_faster():
    def load(item):
        time.sleep(0.02 if item == 0 else 0)
        return item

    assert list(prefetch(range(8), load, workers=4, depth=8)) == list(range(8))


def test_loading_runs_ahead_but_not_too_far():
    taken, started = [], threading.Event()

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    stream = prefetch(items(), lambda item: started.set() or item, workers=2, depth=3)
    assert next(stream) == 0
    assert len(taken) == 3
    stream.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_come_in_their_turn(workers):
    def load(item):
        if item == 3:
            raise ValueError("item 3")
        return item

    stream = prefetch(range(10), load, workers=workers)
    assert list(itertools.islice(stream, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(stream)
    assert not workers_alive()


def test_endless_items_and_early_end():
    stream = prefetch(itertools.count(), lambda item: item)
    assert list(itertools.islice(stream, 5)) == [0, 1, 2, 3, 4]
    stream.close()
    assert not workers_alive()


def test_a_broken_source_of_items_ends_cleanly():
    def items():
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(prefetch(items(), lambda item: item))
    assert not workers_alive()


def test_loads_overlap():
    barrier = threading.Barrier(2, timeout=600)
    assert list(prefetch(range(2), lambda item: (barrier.wait(), item)[1], workers=2)) == [0, 1]


def test_waiting_is_counted_where_the_consumer_is_faster_than_the_threads():
    with count_waiting() as waiting:
        list(prefetch(range(4), lambda item: time.sleep(0.05), workers=1, depth=1))
    assert waiting.seconds > 0.1


def test_no_waiting_is_counted_where_data_is_ready(monkeypatch):
    def submit(pool, load, item):
        future = Future()
        future.set_result(load(item))
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with count_waiting() as waiting:
        assert list(prefetch(range(3), lambda item: item)) == [0, 1, 2]
    assert waiting.seconds == 0


def test_workers_on_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert readers() == 12
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert readers() == 3
