"""A loaded model that transcribes files and arrays: batches of files, windows over long ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.data.batch import pad
from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.features.cmvn import Statistics
from asr.inference.decoders.base import Decoder, Search
from asr.inference.decoders.factory import make_aligner, make_decoder
from asr.inference.decoders.greedy import GreedyDecoder
from asr.inference.inputs import Source, blocks, prepared
from asr.models import decoder_files, store
from asr.models import directory as directory_module
from asr.output.transcript import Alternative, Transcript, Word
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary
from asr.utils.threads import available_cores

# A long recording is cut into windows of CORE seconds whose scores are kept, with CONTEXT seconds more on either side
# that only the network sees. What is no longer than a window with both contexts is never cut.
# Measured on 3 minutes: with networks trained on utterances of 2 s, 5 s of context changed 3 to 6 % of the characters
# that the whole file gives, 15 s 1 to 3 %; with one of LibriSpeech 15 s changed 0.005 % (benchmarks/windows.py).
CORE_SECONDS = 60.0
CONTEXT_SECONDS = 15.0


def load(
    model: str | Path, *, device: str = "cpu", head: str | None = None, decoder: Mapping[str, Any] | None = None
) -> Recognizer:
    """The recogniser of a model directory, or of a training run that holds one. Raises InputError for anything else.

    ``head`` is the one whose labels are decoded, ``decoder`` how: options as those of `BeamDecoder`,
    ``{"lm": PATH, "beam": 200}``, which go over what the model directory says itself (`asr tune` writes that), or a
    ``type`` (greedy or beam) and its options, which stand alone. Where nothing is said of either: greedy, the first
    head.
    """
    directory = directory_module.find(model)
    task = store.on_device(store.load(directory, CTCTask), device)
    head, options = decoder_files.decoder_config(directory, decoder, head)
    if head not in task.vocabularies:
        raise InputError(f"{model} has no head {head!r}; it has {', '.join(task.vocabularies)}")
    chosen = make_decoder(task.vocabularies[head], options)
    return Recognizer(task, device=device, head=head, decoder=chosen)


@dataclass
class _Window:
    """A stretch of one source: which, its inputs, and which of its frames of scores are kept."""

    source: int
    inputs: torch.Tensor
    skip: int
    keep: int | None
    last: bool
    statistics: Statistics | None = None


class Recognizer:
    """Transcribes with one task. Not thread-safe: use one a thread."""

    def __init__(
        self,
        task: CTCTask,
        *,
        device: str = "cpu",
        batch_seconds: float = 240.0,
        head: str | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        torch.set_flush_denormal(True)
        self.device = torch.device(device)
        self.task = task.eval().to(self.device)
        self.batch_seconds = batch_seconds
        self.head = task.primary if head is None else head
        self.decoder = decoder or GreedyDecoder(task.vocabularies[self.head])

    @property
    def sample_rate(self) -> int | None:
        """Of the waveforms that the model reads; None for one that reads precomputed features."""
        return self.task.features.sample_rate

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the head that is decoded."""
        return self.decoder.vocabulary

    def transcribe(self, source: Source, sample_rate: int | None = None) -> Transcript:
        """The transcript of a file, a binary stream or a waveform.

        ``source`` may be a float array (samples,) or (channels, samples) with values within ±1, at ``sample_rate`` Hz
        (default: the model's); for a model of precomputed features, an array (frames, features). Raises AudioError,
        naming the file, if it cannot be read, InputError for an array of another kind.
        """
        if isinstance(source, np.ndarray):
            source = prepared(source, self.task.features, sample_rate)
        (_, result), *_ = self.transcribe_all([source])
        if isinstance(result, Exception):
            raise result
        return result

    def align(
        self,
        source: Source,
        text: str,
        *,
        sample_rate: int | None = None,
        head: str | None = None,
        lexicon: str | Path | None = None,
        pronouncer: str | Path | None = None,
    ) -> Transcript:
        """When each word of ``text`` was said in a recording: as `transcribe`, but the words are known.

        ``head``: by whose labels; None: that of the model which is made for it (`CTCTask.timing`), or with a
        ``lexicon`` the one that is decoded. A head of phones needs a lexicon, the file of a pronouncing dictionary, or
        for words that are in none a ``pronouncer``, the directory of a seq2seq model.
        Raises InputError too for words that the model cannot write, and for a recording that is too short for them.
        """
        head = head or (self.head if lexicon or pronouncer else self.task.timing)
        aligner = make_aligner(self.task.vocabularies[head], text, lexicon, pronouncer)
        one = Recognizer(
            self.task,
            device=str(self.device),
            batch_seconds=self.batch_seconds,
            head=head,
            decoder=aligner,
        )
        return one.transcribe(source, sample_rate)

    def transcribe_all(self, sources: Sequence[Source]) -> Iterator[tuple[int, Transcript | InputError]]:
        """(index, transcript) of each source, as they are finished; (index, error) of one that cannot be read.

        Sources of similar length next to each other make full batches.
        """
        searches: dict[int, Search] = {}
        failed: set[int] = set()
        with ThreadPoolExecutor(available_cores()) as pool:
            for batch in self._batches(sources):
                if isinstance(batch, tuple):
                    searches.pop(batch[0], None)
                    yield batch
                    continue
                heard: dict[int, list[np.ndarray]] = {}
                for window, scores in zip(batch, self._scores(batch), strict=True):
                    if window.source in failed:
                        continue
                    if window.source not in searches:
                        searches[window.source] = self.decoder.start()
                    end = None if window.keep is None else window.skip + window.keep
                    heard.setdefault(window.source, []).append(scores[window.skip : end])
                done = [window.source for window in batch if window.last]
                finish = [source in done for source in heard]
                found = pool.map(searched, [searches[source] for source in heard], heard.values(), finish)
                for source, result in zip(heard, found, strict=True):
                    if isinstance(result, InputError):
                        failed.add(source)
                        yield source, result
                    elif result is not None:
                        yield source, self._transcript(result, searches.pop(source).frames, sources[source])

    def _batches(self, sources: Sequence[Source]) -> Iterator[list[_Window] | tuple[int, InputError]]:
        """Windows in batches of at most ``batch_seconds`` with padding; failures as they occur."""
        batch: list[_Window] = []
        longest = 0
        rate = self.sample_rate or 1 / self.task.features.frame_seconds
        for index, source in enumerate(sources):
            try:
                for window in self._windows(index, source):
                    longest = max(longest, len(window.inputs))
                    if batch and (len(batch) + 1) * longest > self.batch_seconds * rate:
                        yield batch
                        batch, longest = [], len(window.inputs)
                    batch.append(window)
            except InputError as error:
                batch = [window for window in batch if window.source != index]
                yield index, error
        if batch:
            yield batch

    def _windows(self, index: int, source: Source) -> Iterator[_Window]:
        """The windows of one source, in order."""
        rate = self.sample_rate or 1 / self.task.features.frame_seconds
        unit = round(self.task.frame_seconds * rate)  # samples (or feature frames) between two frames of scores
        core = round(CORE_SECONDS / self.task.frame_seconds)
        context = round(CONTEXT_SECONDS / self.task.frame_seconds)
        statistics: Statistics | None = None  # of the whole source, once it turns out to be long
        waiting = np.zeros(0, dtype=np.float32)  # what is read from frame `begin` on
        begin = first = 0  # frames: of the window, of its core
        for block in blocks(source, self.task.features):
            waiting = np.concatenate([waiting, block]) if len(waiting) else block
            while len(waiting) > (first - begin + core + 2 * context) * unit:
                if first == 0:
                    statistics = self.task.features.recording_statistics(self._pieces(source))
                # context behind the core, and as much again: the last window is not a stub
                window = waiting[: (first - begin + core + context) * unit]
                yield _Window(index, torch.from_numpy(window.copy()), first - begin, core, False, statistics)
                first += core
                behind = max(first - context, 0)
                waiting = waiting[(behind - begin) * unit :]
                begin = behind
        yield _Window(index, torch.from_numpy(waiting.copy()), first - begin, None, True, statistics)

    def _pieces(self, source: Source) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """A source's blocks as batches of one."""
        for block in blocks(source, self.task.features):
            yield torch.from_numpy(block)[None].to(self.device), torch.tensor([len(block)])

    @torch.inference_mode()
    def _scores(self, batch: Sequence[_Window]) -> list[np.ndarray]:
        """Log-probabilities (T, V) of each window."""
        inputs, lengths = pad([window.inputs for window in batch])
        statistics = [window.statistics for window in batch]
        scores, lengths = self.task(inputs.to(self.device), lengths.to(self.device), [self.head], statistics)
        log_probs = scores[self.head].cpu().numpy()
        return [row[:end] for row, end in zip(log_probs, lengths.tolist(), strict=True)]

    def _transcript(self, found: Sequence[Hypothesis], frames: int, source: Source) -> Transcript:
        hypothesis = found[0]
        words = tuple(self._words(hypothesis))
        return Transcript(
            text=" ".join(word.text for word in words),
            words=words,
            duration=frames * self.task.frame_seconds,
            confidence=float(np.mean(hypothesis.confidence)) if hypothesis.confidence else None,
            source=str(source) if isinstance(source, (str, Path)) else "",
            alternatives=tuple(self._alternatives(found)),
        )

    def _alternatives(self, found: Sequence[Hypothesis]) -> Iterator[Alternative]:
        """Of hypotheses, best first, those that are another text than those before them."""
        seen = {self.decoder.text(found[0])}
        for hypothesis in found[1:]:
            if (text := self.decoder.text(hypothesis)) not in seen:
                seen.add(text)
                yield Alternative(text, found[0].score - hypothesis.score)

    def _words(self, hypothesis: Hypothesis) -> Iterable[Word]:
        seconds = self.task.frame_seconds
        words = zip(self.decoder.words(hypothesis), self.decoder.confidence(hypothesis), strict=True)
        for (text, first, last), confidence in words:
            start, end = hypothesis.frames[first][0], hypothesis.frames[last - 1][1]
            yield Word(text, round(start * seconds, 3), round(end * seconds, 3), confidence)


def searched(search: Search, heard: Sequence[np.ndarray], finish: bool) -> list[Hypothesis] | InputError | None:
    """Take scores (T, V) into a search; what it found if that was all, or why it cannot find anything."""
    try:
        for scores in heard:
            search.feed(scores)
        return search.finish() if finish else None
    except InputError as error:
        return error
