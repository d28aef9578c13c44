"""The queue of a server: batches across recordings, results as one by one, faults that stay with their recording."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest
from serving import wait_until

from asr.errors import InputError

RATE = 8000


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from asr.serve.engine import Engine

    monkeypatch.setattr("asr.serve.engine.available_cores", lambda: 2)  # a single reader takes the recordings in turn
    engine = Engine(batch_seconds=30.0)
    yield engine
    engine.close()


@pytest.fixture
def held(engine: Any) -> Iterator[threading.Event]:
    """Hold the network until the event is set, so that recordings collect in the queue."""
    event = threading.Event()
    engine.call(lambda: event.wait(60))
    yield event
    event.set()


def test_results_are_those_of_one_recording_at_a_time(model: Any, waveforms: list[np.ndarray]) -> None:
    from asr.serve.engine import Engine

    expected = [model.recognizer.transcribe(waveform) for waveform in waveforms]
    batches: list[tuple[int, float]] = []
    engine = Engine(batch_seconds=30.0)
    engine.on_batch = lambda windows, audio, took: batches.append((windows, audio))
    jobs: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda i=i: jobs.update({i: engine.submit(model.recognizer, waveforms[i])}))
        for i in range(len(waveforms))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [jobs[i].result.result(60) for i in range(len(waveforms))]
    engine.close()
    for one, other in zip(expected, found, strict=True):
        assert other.text == one.text and other.duration == one.duration
        assert [(w.text, w.start, w.end) for w in other.words] == [(w.text, w.start, w.end) for w in one.words]
        assert [w.confidence for w in other.words] == pytest.approx([w.confidence for w in one.words], abs=1e-4)
    assert sum(windows for windows, _ in batches) == len(waveforms)
    assert len(batches) < len(waveforms) and max(audio for _, audio in batches) <= 30


def test_threads_that_are_pinned(model: Any, waveforms: list[np.ndarray]) -> None:
    from asr.serve.engine import Engine

    pinned = Engine(batch_seconds=30.0, pinned=True)
    masks: list[set[int]] = []
    begin = threading.Event()
    pinned.call(lambda: begin.wait(60))
    jobs = [pinned.submit(model.recognizer, waveform) for waveform in waveforms]
    for job in jobs:
        job.result.add_done_callback(lambda _: masks.append(os.sched_getaffinity(0)))  # called by who searched
    begin.set()
    found = [job.result.result(60).text for job in jobs]
    pinned.close()
    assert found == [model.recognizer.transcribe(waveform).text for waveform in waveforms]
    assert len(masks) == len(waveforms) and {*map(len, masks)} == {1}


def test_a_long_recording_does_not_hold_up_short_ones(
    model: Any, waveforms: list[np.ndarray], engine: Any, held: threading.Event
) -> None:
    hours = np.tile(waveforms[6], 40)  # 8 minutes
    long = engine.submit(model.recognizer, hours)
    short = [engine.submit(model.recognizer, waveform) for waveform in waveforms]
    finished: list[Any] = []
    for job in (long, *short):
        job.result.add_done_callback(lambda _, job=job: finished.append(job))
    held.set()
    texts = [job.result.result(60).text for job in short]
    assert long.result.result(60).text == model.recognizer.transcribe(hours).text
    assert texts == [model.recognizer.transcribe(waveform).text for waveform in waveforms]
    assert finished[-1] is long


def test_batches_hold_what_waits_and_is_alike_in_length(model: Any, engine: Any, held: threading.Event) -> None:
    sizes: list[list[int]] = []
    real = engine._run

    def run(batch: Any) -> None:
        sizes.append([round(len(window.inputs) / RATE) for _, window in batch])
        real(batch)

    engine._run = run
    engine.deadline = 1.0  # the readers are done before it ends
    seconds = (2, 9, 2, 8, 2, 20, 2)
    jobs = [engine.submit(model.recognizer, np.full(RATE * s, 0.01, np.float32)) for s in seconds]
    wait_until(lambda: engine._waiting_seconds() == sum(seconds))
    held.set()
    for job in jobs:
        job.result.result(60)
    assert sizes == [[2, 2, 2, 2], [9, 8], [20]]


def test_a_fault_of_one_recording_stays_with_it(
    model: Any, waveforms: list[np.ndarray], engine: Any, held: threading.Event, recording: bytes
) -> None:
    bad = [engine.submit(model.recognizer, io.BytesIO(content)) for content in (b"", b"no audio", recording[:30])]
    late = engine.submit(model.recognizer, waveforms[6], max_seconds=5)
    good = engine.submit(model.recognizer, io.BytesIO(recording))
    held.set()
    for job in bad:
        with pytest.raises(InputError, match="audio stream"):
            job.result.result(60)
    with pytest.raises(InputError, match="longer than 5 s"):
        late.result.result(60)
    assert good.result.result(60).text
    assert engine.backlog == 0
    for job in (*bad, late, good):
        job.released.result(60)


def test_a_batch_that_fails_is_read_one_by_one(
    model: Any, waveforms: list[np.ndarray], engine: Any, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr.inference.recognizer import Recognizer
    from asr.serve.engine import InternalError

    real = Recognizer.log_probs

    def log_probs(self: Any, batch: Any) -> Any:
        if any(len(window.inputs) == len(waveforms[4]) for window in batch):
            raise RuntimeError("not enough memory: you tried to allocate much")
        return real(self, batch)

    expected = [model.recognizer.transcribe(waveform).text for waveform in waveforms]
    monkeypatch.setattr(Recognizer, "log_probs", log_probs)
    jobs = [engine.submit(model.recognizer, waveform) for waveform in waveforms]
    held.set()
    for i, job in enumerate(jobs):
        if i == 4:
            with pytest.raises(InternalError):
                job.result.result(60)
        else:
            assert job.result.result(60).text == expected[i]


def test_what_is_canceled_is_not_read_any_more(
    model: Any, waveforms: list[np.ndarray], engine: Any, held: threading.Event
) -> None:
    reads: list[int] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(threading.get_ident())
            return super().read(size)

    gone = engine.submit(model.recognizer, Slow(b"RIFF"))
    kept = engine.submit(model.recognizer, waveforms[0])
    engine.cancel(gone)
    engine.cancel(gone)
    gone.released.result(60)
    count = len(reads)
    with pytest.raises((CancelledError, InputError)):
        gone.result.result(60)
    held.set()
    assert kept.result.result(60).text
    assert len(reads) == count


def test_closing_finishes_what_is_in_the_queue(model: Any, waveforms: list[np.ndarray]) -> None:
    from asr.serve.engine import Engine

    engine = Engine()
    jobs = [engine.submit(model.recognizer, waveform) for waveform in waveforms]
    engine.close()
    assert all(job.result.done() and job.result.result().text for job in jobs)
    with pytest.raises(RuntimeError):
        engine.submit(model.recognizer, waveforms[0])


def test_windows_read_ahead_are_bounded(model: Any, engine: Any, held: threading.Event) -> None:
    from asr.serve import engine as module

    minute = np.zeros(60 * RATE, np.float32)
    jobs = [engine.submit(model.recognizer, minute) for _ in range(20)]
    time.sleep(0.3)
    assert engine._waiting_seconds() <= module.READ_AHEAD_BATCHES * 30 + 60 * engine._cores
    held.set()
    assert all(job.result.result(60).text == "" for job in jobs)


def test_calls_come_between_batches(model: Any, waveforms: list[np.ndarray], engine: Any) -> None:
    jobs = [engine.submit(model.recognizer, waveform) for waveform in waveforms]
    names = [engine.call(lambda: threading.current_thread().name).result(60) for _ in range(3)]
    assert names == ["asr-network"] * 3
    failing: Callable[[], Any] = lambda: 1 / 0  # noqa: E731
    with pytest.raises(ZeroDivisionError):
        engine.call(failing).result(60)
    assert all(job.result.result(60) for job in jobs)


def test_who_leaves_takes_nothing_along(
    engine: Any, held: threading.Event, model: Any, waveforms: list[np.ndarray]
) -> None:
    left = engine.call(lambda: pytest.fail("nobody waits for it"))
    job = engine.submit(model.recognizer, waveforms[0])
    assert left.cancel() and not job.result.cancel()
    held.set()
    assert job.result.result(60).text
    assert engine.call(lambda: 3).result(60) == 3
