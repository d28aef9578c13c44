"""One queue for the recordings of all clients: the network reads windows of several in one batch."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from asr.errors import InputError
from asr.inference.decoders.base import Search
from asr.inference.decoders.segments import SegmentedSearch
from asr.inference.inputs import Source, as_source, input_rate
from asr.inference.recognizer import Recognizer, advance_search
from asr.inference.windows import Window, cut_windows
from asr.output.transcript import Transcript, Word
from asr.utils.threads import available_cores, pin_in_turn

log = logging.getLogger(__name__)
T = TypeVar("T")

READ_AHEAD = 4  # windows of a recording that wait for the network
READ_AHEAD_BATCHES = 4  # batches whose windows are read ahead, of all recordings; more would only take memory
MAX_PADDED = 1.5  # samples of a batch, padding included, for each sample of audio
LIVE_SECONDS = 2.0  # since the last call, during which batches are short: somebody speaks, and waits for words
LIVE_BATCH_SECONDS = 30.0


class InternalError(Exception):
    """A fault of the server itself; the log has the reason."""


class Job:
    """A recording in the queue.

    Args:
        recognizer: reads and searches it; all jobs of an engine share one network.
        source: what `Recognizer.transcribe` reads.
        max_seconds: of audio; a longer recording is an error.
        on_words: called, by a thread, with words of a long recording that are found before its end, as they are
            recognized, without punctuation; None: they are not needed.

    Attributes:
        result: its transcript, or the error of a recording that cannot be read.
        released: done when nothing reads the source any more; later than ``result``.
        ready: windows that wait for the network.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: Source,
        max_seconds: float,
        on_words: Callable[[list[Word]], None] | None = None,
    ) -> None:
        self.recognizer = recognizer
        self.result: Future[Transcript] = Future()
        self.released: Future[None] = Future()
        for future in (self.result, self.released):
            future.set_running_or_notify_cancel()  # who waits for it can leave, but not cancel it
        self.ready: deque[Window] = deque()
        self.is_reading = self.is_read = self.is_searching = self.is_over = False
        self._source = source
        self._max_seconds = max_seconds
        self._on_words = on_words
        self._search: Search | None = None
        self._told = 0  # segments of the search whose words were told
        self._windows = self._cut()

    @property
    def rate(self) -> float:
        """Samples (or feature frames) in a second."""
        return input_rate(self.recognizer.task.features)

    def _cut(self) -> Generator[Window, None, None]:
        task = self.recognizer.task
        source = as_source(self._source, task.features)
        for window in cut_windows(0, source, task.features, task.frame_seconds):
            if window.end > self._max_seconds * self.rate:
                raise InputError(f"the recording is longer than {self._max_seconds:g} s, the limit of this server")
            yield window

    def read(self) -> Window:
        """Return the next window. Raises InputError for a recording that cannot be read."""
        return next(self._windows)

    def advance(self, windows: Sequence[Window], frames: Sequence[Any], pool: Executor) -> Transcript | None:
        """Search the network's outputs for some windows; return the transcript after the last one.

        Raises:
            InputError: the search failed.
        """
        last = windows[-1]
        # a short recording does not queue behind the segments of long ones
        search = self._search or self.recognizer.decoder.start(None if last.is_last else pool)
        self._search = search
        kept = [window.kept(part) for window, part in zip(windows, frames, strict=True)]
        found = advance_search(search, kept, last.is_last)
        if isinstance(found, InputError):
            raise found
        if found is not None:
            return self.recognizer.transcript(found, last.end / self.rate, self._source)
        if self._on_words is not None and isinstance(search, SegmentedSearch):
            settled = search.settled[self._told :]
            self._told += len(settled)
            if words := [word for hypothesis in settled for word in self.recognizer.words(hypothesis)]:
                self._on_words(words)
        return None

    def release(self) -> None:
        """Close the source's reader."""
        self._windows.close()
        if not self.released.done():
            self.released.set_result(None)


Batch = list[tuple[Job, Window]]


class Engine:
    """Transcribes the recordings of many clients with one network.

    A thread has the network read batches of windows, which may be of several recordings; others read the recordings and
    search what the network puts out. The network waits for the searches until there is a core for it, as its threads
    wait for each other. Results are those of `Recognizer.transcribe`.

    Args:
        batch_seconds: seconds of audio in a batch, padding included.
        deadline: seconds for which a batch that is not full waits for further windows.
        pinned: bind each thread that reads or searches recordings to a core. Those of the network are torch's, which
            makes some of them anew for each layer: they stay free.

    Attributes:
        speed: seconds of audio in a second, of the last batches.
        on_batch: called after each batch with its number of windows, its seconds of audio, and those it took.
    """

    def __init__(self, *, batch_seconds: float = 120.0, deadline: float = 0.005, pinned: bool = False) -> None:
        self.batch_seconds = batch_seconds
        self.deadline = deadline
        self.speed = 1.0
        self.on_batch: Callable[[int, float, float], None] = lambda windows, audio, took: None
        self._changed = threading.Condition()
        self._jobs: list[Job] = []  # in the order in which they came
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._called = -math.inf  # when the last call came
        self._is_closed = False
        self._reading = 0
        self._cores = cores = available_cores()
        # each pool begins with the first core; a thread would otherwise have the core of the one that starts it
        pins = [pin_in_turn() if pinned else None for _ in range(3)]
        self._readers = ThreadPoolExecutor(cores, "asr-read", pins[0])
        # threads of the first pool may wait for those of the second one, which search segments of long recordings
        self._advancing = ThreadPoolExecutor(2 * cores, "asr-advance", pins[1])
        self._searching = ThreadPoolExecutor(cores, "asr-search", pins[2])
        self._searches = 0  # that run
        self._thread = threading.Thread(target=self._work, name="asr-network", daemon=True)
        self._thread.start()

    def submit(
        self,
        recognizer: Recognizer,
        source: Source,
        *,
        max_seconds: float = float("inf"),
        on_words: Callable[[list[Word]], None] | None = None,
    ) -> Job:
        """Add a recording to the queue, see `Job`. Raises RuntimeError after `close`."""
        job = Job(recognizer, source, max_seconds, on_words)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the engine is closed")
            self._jobs.append(job)
            self._read_on()
        return job

    def cancel(self, job: Job) -> None:
        """Take a recording out of the queue; its result is the error `CancelledError`, unless it is there already."""
        self._end(job, CancelledError())

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Call a function that uses the network, before the next batch, while nothing else uses it."""
        result: Future[T] = Future()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the engine is closed")
            self._calls.append((function, result))
            self._called = time.monotonic()
            self._changed.notify_all()
        return result

    def close(self) -> None:
        """Finish what is in the queue, then stop the threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        for pool in (self._readers, self._advancing, self._searching):
            pool.shutdown()

    def _read_on(self) -> None:
        """Have further windows read, of the recordings that came first; the lock is held."""
        room = READ_AHEAD_BATCHES * self.batch_seconds - self._waiting_seconds()
        for job in self._jobs:
            if self._reading >= self._cores or room <= 0:
                return
            if not (job.is_reading or job.is_read) and len(job.ready) < READ_AHEAD:
                job.is_reading = True
                self._reading += 1
                self._readers.submit(self._read, job)

    def _waiting_seconds(self) -> float:
        """Seconds of audio that wait for the network; the lock is held."""
        return sum(len(window.inputs) / job.rate for job in self._jobs for window in job.ready)

    def _read(self, job: Job) -> None:
        window: Window | None = None
        error: Exception | None = None
        try:
            window = job.read()
        except InputError as refused:
            error = refused
        except Exception as fault:
            if not job.is_over:
                log.exception("a recording could not be read")
            error = InternalError(str(fault))
        with self._changed:
            job.is_reading = False
            self._reading -= 1
            if job.is_over:
                job.release()
            elif window is not None:
                job.ready.append(window)
            job.is_read = window is None or window.is_last
            self._read_on()
            self._changed.notify_all()
        if error is not None:
            self._end(job, error)

    def _end(self, job: Job, result: Transcript | BaseException) -> None:
        with self._changed:
            if job.is_over:
                return
            job.is_over = True
            job.ready.clear()
            self._jobs.remove(job)
            if not job.is_reading:
                job.release()
            self._read_on()
            self._changed.notify_all()
        if isinstance(result, BaseException):
            job.result.set_exception(result)
        else:
            job.result.set_result(result)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                calls = list(self._calls)
                self._calls.clear()
                if not calls and not self._jobs:
                    return  # closed
            for function, result in calls:
                if not result.set_running_or_notify_cancel():
                    continue  # who asked for it is gone
                try:
                    result.set_result(function())
                except BaseException as error:
                    result.set_exception(error)
            if batch := self._next_batch(wait=not calls):
                started = time.monotonic()
                self._run(batch)
                with self._changed:
                    self._changed.wait_for(lambda: self._searches < self._cores)
                took = time.monotonic() - started
                audio = sum(len(window.inputs) / job.rate for job, window in batch)
                self.speed += 0.2 * (audio / max(took, 1e-6) - self.speed)
                self.on_batch(len(batch), audio, took)

    def _has_work(self) -> bool:
        return bool(self._calls) or any(map(_is_waiting, self._jobs)) or (self._is_closed and not self._jobs)

    def _next_batch(self, wait: bool) -> Batch:
        """Take the windows of the next batch out of the queue, after a wait for more if it is not full."""
        with self._changed:
            end = time.monotonic() + self.deadline
            while wait and self._waiting_seconds() < self.batch_seconds and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._select()

    def _select(self) -> Batch:
        """Take the window that has waited longest, and those most like it in length."""
        waiting = list(filter(_is_waiting, self._jobs))
        if not waiting:
            return []
        seconds = self.batch_seconds
        if time.monotonic() - self._called < LIVE_SECONDS:
            seconds = min(seconds, LIVE_BATCH_SECONDS)
        head, limit = waiting[0].recognizer.head, seconds * waiting[0].rate
        waiting = [job for job in waiting if job.recognizer.head == head]
        oldest = longest = total = len(waiting[0].ready[0].inputs)
        batch: Batch = [(waiting[0], waiting[0].ready.popleft())]
        while candidates := [job for job in waiting if job.ready]:
            job = min(candidates, key=lambda job: abs(len(job.ready[0].inputs) - oldest))
            length = len(job.ready[0].inputs)
            padded = (len(batch) + 1) * max(longest, length)
            if padded > limit or padded > MAX_PADDED * (total + length):
                break
            longest, total = max(longest, length), total + length
            batch.append((job, job.ready.popleft()))
        self._read_on()
        return batch

    def _run(self, batch: Batch) -> None:
        """Have the network read a batch, and begin to search its outputs."""
        try:
            frames = batch[0][0].recognizer.log_probs([window for _, window in batch])
        except Exception as fault:
            jobs = dict.fromkeys(job for job, _ in batch)
            if len(jobs) > 1:  # one of them may be to blame, or there is not memory for all
                for job in jobs:
                    self._run([(owner, window) for owner, window in batch if owner is job])
                return
            log.exception("the network failed")
            self._end(batch[0][0], InternalError(str(fault)))
            return
        parts: dict[Job, tuple[list[Window], list[Any]]] = {}
        for (job, window), scores in zip(batch, frames, strict=True):
            own = parts.setdefault(job, ([], []))
            own[0].append(window)
            own[1].append(scores)
        with self._changed:
            self._searches += len(parts)
            for job in parts:
                job.is_searching = True
        for job, (windows, own_frames) in parts.items():
            self._advancing.submit(self._search, job, windows, own_frames)

    def _search(self, job: Job, windows: Sequence[Window], frames: Sequence[Any]) -> None:
        """Search the network's outputs for some windows of a recording, and end it with the last one."""
        result: Transcript | BaseException | None = None
        try:
            if not job.is_over:
                result = job.advance(windows, frames, self._searching)
        except InputError as error:
            result = error
        except Exception as fault:
            log.exception("a search failed")
            result = InternalError(str(fault))
        with self._changed:
            self._searches -= 1
            job.is_searching = False
            self._changed.notify_all()
        if result is not None:
            self._end(job, result)

    @property
    def backlog(self) -> int:
        """Number of recordings in the queue."""
        return len(self._jobs)


def _is_waiting(job: Job) -> bool:
    """Whether the network may read the next window of a recording: those before it are searched."""
    return bool(job.ready) and not job.is_searching
