"""Live recognition: words of speech while it goes on, with any speech recognizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from asr.audio import MAX_AMPLITUDE
from asr.errors import InputError
from asr.inference._live_frames import make_frames
from asr.inference._live_writing import LiveWriter
from asr.inference.recognizer import Recognizer
from asr.output.transcript import Word
from asr.output.writing import text_of

STEP_SECONDS = 0.4  # of new audio, after which it is read
GUARD_SECONDS = 0.4  # a word that two readings agree on is committed if it ended this long ago
SETTLED_SECONDS = 3.0  # a word that ended this long ago is committed: as much as windows of long recordings overlap
PAUSE_SECONDS = 0.6  # without a word, from which on a search may begin anew
END_SECONDS = 1.2  # without a word, after which a stretch of speech has ended
SPAN_SECONDS = 20.0  # that a search goes back at most
IDLE_SECONDS = 2.0  # that a search goes back where there is no word: one may be about to be recognized
SHIFT_SECONDS = 0.5  # by which the times of one word may differ between two readings
FEED_SECONDS = 5.0  # that are read at a time at most


@dataclass(frozen=True)
class Committed:
    """Words that will not change any more.

    Attributes:
        words: as they are written, with punctuation and capitals if the model has them; times in seconds from the
            beginning of the audio.
        spoken: the bare words that were recognized; as ``words`` if the model does not write.
        is_end: whether a stretch of speech ends with these words, by a pause or the end of the audio. A line of
            captions may end here. There may be no words, if those before turned out to be the last ones.
    """

    words: tuple[Word, ...]
    spoken: tuple[Word, ...]
    is_end: bool = False

    @property
    def text(self) -> str:
        """The words as written."""
        return text_of(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON has of it: ``type`` ("committed"), ``text``, ``words``, ``is_end``; ``spoken``, if other."""
        spoken = {"spoken": _fields(self.spoken)} if self.spoken != self.words else {}
        return {"type": "committed", "text": self.text, "words": _fields(self.words), "is_end": self.is_end} | spoken


@dataclass(frozen=True)
class Partial:
    """The words after the committed ones, as far as they are recognized; those of the next event replace them.

    Attributes:
        words: as they are written; none if all words are committed.
    """

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words as written."""
        return text_of(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON has of it: ``type`` ("partial"), ``text`` and ``words``."""
        return {"type": "partial", "text": self.text, "words": _fields(self.words)}


def _fields(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [asdict(word) | {"confidence": round(word.confidence, 4)} for word in words]


LiveEvent: TypeAlias = Committed | Partial


class Live:
    """Recognizes speech while it goes on.

    Audio is read as it is fed, `STEP_SECONDS` or more at a time. A bidirectional model reads its last seconds again
    each time, as what follows changes what it hears; a model that only looks forward keeps its state and reads each
    frame once. Words are committed that two readings agree on, or that ended `SETTLED_SECONDS` ago. Memory does not
    grow with the duration.

    `feed` reads the network at most once for each `FEED_SECONDS` that it is given. A caller that feeds all that has
    arrived since the last call keeps up with the speech, however slow the machine.

    Several objects may share a recognizer, but not be fed from several threads at the same time. An audio stream
    begins with a new object.

    Args:
        model: a speech recognizer that reads waveforms, such as ``asr.load()`` gives. Its decoder, head, hot words and
            writer are used.
        step: seconds of new audio after which the network reads again; less means earlier words and more computing.
        guard: seconds after a word's end before which it is not committed, even if two readings agree; more means later
            words and fewer errors.

    Raises:
        InputError: the model reads no waveforms, or an option is out of range.

    Example:
        >>> live = Live(asr.load())
        >>> for samples in chunks:  # float32, live.sample_rate
        ...     for event in live.feed(samples):
        ...         print(type(event).__name__, event.text)
        >>> live.finish()
    """

    def __init__(self, model: Recognizer, *, step: float = STEP_SECONDS, guard: float = GUARD_SECONDS) -> None:
        if not isinstance(model, Recognizer):
            raise InputError(f"live recognition needs a speech recognizer, not a {type(model).__name__}")
        if model.sample_rate is None:
            raise InputError("live recognition needs a model that reads waveforms; this one reads features of files")
        for name, value in (("step", step), ("guard", guard)):
            if not (math.isfinite(value) and 0 < value <= FEED_SECONDS):
                raise InputError(f"{name}={value}: use a number of seconds above 0, up to {FEED_SECONDS:g}")
        self.model = model
        self.sample_rate: int = model.sample_rate
        self.step = step
        self.guard = guard
        self._frame_seconds = model.task.frame_seconds
        self._frames = make_frames(model)
        self._writer = LiveWriter(model.writer)
        self._samples = 0  # fed
        self._read = 0  # of these, before the last reading
        self._begin = 0  # frame at which the search begins
        self._committed: list[Word] = []  # after this frame; always the last one, too
        self._waiting: list[Word] = []  # words of the last reading that are not committed
        self._is_open = False  # whether words were committed after the last end of a stretch
        self._shown: tuple[Word, ...] = ()  # the last partial words
        self._is_finished = False

    @property
    def seconds(self) -> float:
        """Seconds of audio that were fed."""
        return self._samples / self.sample_rate

    def feed(self, samples: Any) -> list[LiveEvent]:
        """Take in the next samples, and read them if enough have come.

        Args:
            samples: (S,) floats within ±1 at `sample_rate`, any number of them.

        Returns:
            What is new: committed words first, then the partial ones, if they have changed.

        Raises:
            InputError: samples of another kind, or after `finish`.
        """
        if self._is_finished:
            raise InputError("this stream is finished: begin another one with a new Live object")
        samples = self._checked(samples)
        events: list[LiveEvent] = []
        size = round(FEED_SECONDS * self.sample_rate)
        for begin in range(0, len(samples), size):
            piece = samples[begin : begin + size]
            self._frames.feed(piece)
            self._samples += len(piece)
            if self._samples - self._read >= self.step * self.sample_rate:
                events += self._events(is_final=False)
        return events

    def finish(self) -> list[LiveEvent]:
        """End the audio: all words are committed. Nothing can be fed after it; a second call returns nothing."""
        if self._is_finished:
            return []
        self._is_finished = True
        return self._events(is_final=True)

    @staticmethod
    def _checked(samples: Any) -> np.ndarray:
        array = np.asarray(samples)
        if array.ndim != 1 or (array.dtype.kind != "f" and array.size):
            raise InputError(
                f"live audio must be floats within ±1 of the shape (samples,), not {array.dtype} of the shape "
                f"{array.shape} (divide 16-bit samples by 32768)"
            )
        array = array.astype(np.float32)
        if not (np.abs(array) <= MAX_AMPLITUDE).all():
            raise InputError("live audio must be finite numbers within ±1 (divide 16-bit samples by 32768)")
        return array

    def _events(self, is_final: bool) -> list[LiveEvent]:
        """Read what has been fed, and tell what is new."""
        self._read = self._samples
        found = self._recognize(is_final)
        new = self._uncommitted(found)
        count = len(new) if is_final else self._decided(new)
        committed, self._waiting = new[:count], new[count:]
        events: list[LiveEvent] = []
        *ended, last = self._stretches(committed)
        for stretch in ended:
            events += self._commit(stretch, [], is_end=True)
        is_end = not self._waiting and (is_final or self._silence(last) >= END_SECONDS)
        events += self._commit(last, self._waiting, is_end)
        partial = self._writer.partial(self._waiting)
        if partial != self._shown:
            self._shown = partial
            events.append(Partial(partial))
        if not is_final:
            self._advance(found)
        return events

    def _stretches(self, words: Sequence[Word]) -> list[list[Word]]:
        """Divide words that are committed where a stretch of speech ended before one of them; the last may go on."""
        stretches: list[list[Word]] = [[]]
        end = self._committed[-1].end if self._committed else math.inf
        for word in words:
            if word.start - end >= END_SECONDS:
                stretches.append([])
            stretches[-1].append(word)
            end = word.end
        return stretches

    def _commit(self, words: list[Word], partial: Sequence[Word], is_end: bool) -> list[LiveEvent]:
        """Commit words, before ``partial`` ones, and tell which are written by now; ``is_end``: a stretch may end."""
        self._committed += words
        self._is_open = self._is_open or bool(words)
        is_end = is_end and self._is_open
        self._is_open = self._is_open and not is_end
        written, spoken = self._writer.commit(words, partial, is_end)
        return [Committed(written, spoken, is_end)] if written or is_end else []

    def _recognize(self, is_final: bool) -> list[Word]:
        """The words from the frame at which the search begins, with their times from the beginning of the audio."""
        frames = self._frames.read(self._begin, is_final)
        if not len(frames):
            return []
        search = self.model.decoder.first_pass.start()  # a second pass each time would take too long
        search.feed(frames)
        offset = self._begin * self._frame_seconds
        end = self.seconds
        return [
            Word(
                word.text,
                min(round(word.start + offset, 3), end),
                min(round(word.end + offset, 3), end),
                word.confidence,
            )
            for word in self.model.words(search.finish()[0])
        ]

    def _uncommitted(self, words: Sequence[Word]) -> list[Word]:
        """Return the words behind those that are committed already."""
        before = [word.text for word in self._since(self._committed)]
        if [word.text for word in words[: len(before)]] == before:
            return list(words[len(before) :])
        last = self._committed[-1]  # this reading differs from what was committed: the times decide
        behind = [word for word in words if (word.start + word.end) / 2 > last.end]
        if behind and behind[0].text == last.text and behind[0].start < last.end + SHIFT_SECONDS / 2:
            del behind[0]
        return behind

    def _decided(self, words: Sequence[Word]) -> int:
        """Return how many of the words, which are not committed, can be committed."""
        now = self.seconds
        agreed = 0
        for before, after in zip(self._waiting, words, strict=False):
            if before.text != after.text or abs(before.start - after.start) > SHIFT_SECONDS:
                break
            agreed += 1
        count = 0
        for number, word in enumerate(words):
            settled = now - word.end >= SETTLED_SECONDS or now - word.start >= SPAN_SECONDS
            if settled or (number < agreed and now - word.end >= self.guard):
                count = number + 1
        return count

    def _silence(self, words: Sequence[Word]) -> float:
        """Seconds since the last word that is committed, ``words`` included."""
        last = [*self._committed[-1:], *words][-1:]
        return self.seconds - (last[0].end if last else 0.0)

    def _advance(self, words: Sequence[Word]) -> None:
        """Move the beginning of the search to the last pause before which all words are committed.

        Args:
            words: those of the last reading.
        """
        now = self.seconds
        done = words[: len(words) - len(self._waiting)]
        starts = [*(word.start for word in words[1:]), now]  # of what follows each word
        gaps = [(start - word.end, word.end) for word, start in zip(done, starts, strict=False)]
        begin = self._begin * self._frame_seconds
        for gap, end in gaps:
            if gap >= PAUSE_SECONDS:
                begin = max(begin, end + PAUSE_SECONDS / 2)
        if not self._waiting and (not gaps or gaps[-1][0] >= IDLE_SECONDS):
            begin = max(begin, now - IDLE_SECONDS)
        elif now - begin > SPAN_SECONDS and gaps:  # speech without a pause: between the words furthest apart
            half = [gap for gap in gaps if gap[1] > now - SPAN_SECONDS / 2] or gaps
            begin = max(half)[1]
        frame = round(begin / self._frame_seconds)
        if frame > self._begin:
            self._begin = frame
            self._frames.forget(frame)
            self._committed = [*self._since(self._committed[:-1]), *self._committed[-1:]]

    def _since(self, words: Sequence[Word]) -> list[Word]:
        """Return the words that end after the frame at which the search begins."""
        begin = (self._begin + 0.5) * self._frame_seconds
        return [word for word in words if word.end > begin]
