"""Run speech recognizers: from recordings to transcripts, in batches of windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.inference.decoders.base import HeadDecoder, Search
from asr.inference.decoders.factory import lexicon_for, make_aligner, make_decoder
from asr.inference.inputs import (
    Recording,
    Source,
    as_source,
    check_batch_seconds,
    check_sources,
    describe_source,
    input_rate,
    source_name,
)
from asr.inference.windows import Window, cut_windows, make_batches, pad_windows
from asr.models import decoder_files, store, writing_files
from asr.models import directory as directory_module
from asr.models.onnx_task import OnnxTask
from asr.output.transcript import Alternative, Transcript, Word
from asr.output.writing import Writer, text_of
from asr.tasks.recognition import RecognitionTask
from asr.tasks.speech_frontend import SpeechTask
from asr.text.lexicon import Lexicon
from asr.text.lexicon import words as words_of_text
from asr.text.vocabulary import Vocabulary
from asr.utils.options import check_choice
from asr.utils.threads import available_cores

log = logging.getLogger(__name__)

GREEDY = {"type": "greedy"}  # options of a decoder


class Recognizer:
    """Transcribes recordings, and aligns texts to them, with one task. Not thread-safe: use one for each thread.

    Args:
        task: the network; it stays on its device. Called with (inputs, lengths, heads) it returns output
            frames (N, T, D) by head, which the decoder searches, and their lengths (N,).
        batch_seconds: seconds of audio in a batch, padding included; less takes less memory.
        head: the head whose labels are decoded; None: the task's primary one.
        decoder: from the head's scores to text; None: greedy decoding.
        writer: from recognized words to readable text; None: transcripts have the bare words.
    """

    def __init__(
        self,
        task: SpeechTask,
        *,
        batch_seconds: float = 240.0,
        head: str | None = None,
        decoder: HeadDecoder | None = None,
        writer: Writer | None = None,
    ) -> None:
        check_batch_seconds(batch_seconds)
        self.task = task.eval()
        self.device = task.device
        self.batch_seconds = batch_seconds
        self.head = task.primary if head is None else head
        self.decoder = decoder or make_decoder(task.vocabularies[self.head], GREEDY, task.transducer)
        self.writer = None if self.decoder.scoring_vocabulary.kind == "phones" else writer

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "cpu",
        batch_seconds: float = 240.0,
        head: str | None = None,
        decoder: Mapping[str, Any] | None = None,
        plain: bool = False,
        digits: bool = False,
    ) -> Recognizer:
        """Load a speech recognizer.

        Args:
            model: a model directory, the directory of a training run, or a ``model.onnx`` of `asr export`.
            device: of torch: cpu, cuda, cuda:1 …; an exported model runs on the cpu.
            batch_seconds: see `Recognizer`.
            head: the head whose labels are decoded; None: the one that the model directory's decoder is made for, or
                else the first.
            decoder: options of `asr.inference.decoders.factory.make_decoder`, such as ``{"lm": PATH, "beam": 200}``.
                They replace those of the model directory, which `asr tune` writes; with a ``type`` (greedy or beam)
                they stand alone. None: the model directory's, or else greedy decoding.
            plain: leave out the punctuation and capitals of a model that writes them (`asr.models.writing_files`).
            digits: write numbers with digits.

        Raises:
            InputError: a path that holds no recognizer, an unknown head or decoder option, digits of a model that does
                not say how they are written, or a device that cannot be used.
        """
        directory = directory_module.find(model)
        if directory_module.is_exported(directory):
            task: RecognitionTask = OnnxTask.load(directory, device)
        elif directory_module.is_of_hub(directory):
            from asr.models.hub_task import HubTask

            task = HubTask.load(directory, device)
        else:
            task = store.on_device(store.load(directory, RecognitionTask), device)
        head, options = decoder_files.decoder_config(directory, decoder, head)
        if head not in task.vocabularies:
            raise InputError(f"{model} has no head {head!r}; it has {', '.join(task.vocabularies)}")
        return cls(
            task,
            batch_seconds=batch_seconds,
            head=head,
            decoder=make_decoder(task.vocabularies[head], options, task.transducer),
            writer=writing_files.read_writer(directory, plain=plain, digits=digits),
        )

    def __repr__(self) -> str:
        heads = ", ".join(self.task.vocabularies)
        search = type(self.decoder).__name__
        reads = self.sample_rate or "features"
        return f"<Recognizer: heads {heads}; decodes {self.head} by {search}, reads {reads}, on {self.device}>"

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms that the model reads; None for one that reads precomputed features."""
        return self.task.features.sample_rate

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the head that is decoded."""
        return self.decoder.vocabulary

    def transcribe(self, source: Source, sample_rate: int | None = None) -> Transcript:
        """Transcribe one recording.

        Args:
            source: a path, a binary stream, the bytes of a file, a `Recording` (one channel or track of a file), or
                floats in an array, tensor or list: (S,) or (channels, S) samples within ±1, or (T, F) feature frames
                for a model of precomputed features.
            sample_rate: of an array in Hz; None: the model's.

        Raises:
            AudioError: the file cannot be read; the message names it.
            InputError: an array that the model does not read, or a source of another type.
        """
        (_, result), *_ = self.transcribe_all([as_source(source, self.task.features, sample_rate)])
        if isinstance(result, InputError):
            raise result
        return result

    def transcribe_all(self, sources: Sequence[Source]) -> Iterator[tuple[int, Transcript | InputError]]:
        """Transcribe many recordings, in batches.

        Args:
            sources: as in `transcribe`; those of similar length next to each other make full batches.

        Yields:
            The index of a source and its transcript, as they are finished, or the error of one that cannot be read.

        Raises:
            InputError: one source is given in place of a list.
        """
        sources = check_sources(sources)
        searches: dict[int, Search] = {}
        failed: set[int] = set()
        cores = available_cores()
        # Threads of the first pool wait for those of the second one, which search while the network reads on.
        with ThreadPoolExecutor(cores) as pool, ThreadPoolExecutor(cores) as searching:
            for batch in self._batches(sources):
                if isinstance(batch, tuple):
                    index, error = batch
                    searches.pop(index, None)
                    if index not in failed:
                        yield index, error
                    continue
                log_probs: dict[int, list[np.ndarray]] = {}  # of each source, its windows in order
                for window, scores in zip(batch, self.log_probs(batch), strict=True):
                    if window.source not in failed:
                        log_probs.setdefault(window.source, []).append(window.kept(scores))
                searches |= {source: self.decoder.start(searching) for source in log_probs.keys() - searches.keys()}
                finished = {window.source: window.end for window in batch if window.is_last}
                results = pool.map(
                    advance_search,
                    [searches[source] for source in log_probs],
                    log_probs.values(),
                    [source in finished for source in log_probs],
                )
                for source, result in zip(log_probs, results, strict=True):
                    if result is None:
                        continue
                    del searches[source]
                    if isinstance(result, InputError):
                        failed.add(source)
                        name = source_name(sources[source])
                        yield source, InputError(f"{name}: {result}") if name else result
                    else:
                        duration = finished[source] / input_rate(self.task.features)
                        yield source, self.transcript(result, duration, sources[source])

    def _batches(self, sources: Sequence[Source]) -> Iterator[list[Window] | tuple[int, InputError]]:
        features = self.task.features
        windows_of = partial(cut_windows, features=features, frame_seconds=self.task.frame_seconds)
        return make_batches(sources, windows_of, self.batch_seconds * input_rate(features))

    @torch.inference_mode()
    def log_probs(self, batch: Sequence[Window]) -> list[np.ndarray]:
        """Run the network: output frames (T, D) of each window, which the decoder searches."""
        inputs, lengths = pad_windows(batch, self.device)
        scores, lengths = self.task(inputs, lengths, [self.head])
        log_probs = scores[self.head].cpu().numpy()
        return [row[:length] for row, length in zip(log_probs, lengths.tolist(), strict=True)]

    def transcript(self, hypotheses: Sequence[Hypothesis], duration: float, source: Source) -> Transcript:
        """Return the transcript of a recording.

        Args:
            hypotheses: of its search, best first.
            duration: of the recording, in seconds.
            source: what was read.
        """
        # The last frame may reach beyond the end of the recording.
        words = tuple(
            replace(word, start=min(word.start, duration), end=min(word.end, duration))
            for word in self.words(hypotheses[0])
        )
        channel = source.channel if isinstance(source, Recording) else "mix"
        transcript = Transcript(
            text=text_of(words),
            words=words,
            duration=duration,
            confidence=float(np.mean([word.confidence for word in words])) if words else None,
            source=source_name(source),
            alternatives=tuple(self._alternatives(hypotheses)),
            channel=None if channel == "mix" else channel,
            phones=tuple(
                replace(phone, start=min(phone.start, duration), end=min(phone.end, duration))
                for phone in self._phones(hypotheses[0])
            ),
            fits=getattr(hypotheses[0], "fits", None),
            warnings=getattr(hypotheses[0], "warnings", ()),
        )
        return transcript if self.writer is None else self.writer.transcript(transcript)

    def _phones(self, hypothesis: Hypothesis) -> Iterator[Word]:
        """The phones of the words that a head of phones was searched for."""
        vocabulary, seconds = self.decoder.vocabulary, self.task.frame_seconds
        if vocabulary.kind != "phones" or not hypothesis.words:
            return
        for label, (start, end), confidence in zip(
            hypothesis.labels, hypothesis.frames, hypothesis.confidence, strict=True
        ):
            if label < len(vocabulary):  # not of a word without a pronunciation
                yield Word(vocabulary.tokens[label], round(start * seconds, 3), round(end * seconds, 3), confidence)

    def words(self, hypothesis: Hypothesis) -> Iterator[Word]:
        """Yield the words of a hypothesis with their times in seconds and confidences, before they are written."""
        seconds = self.task.frame_seconds
        words = zip(self.decoder.words(hypothesis), self.decoder.confidence(hypothesis), strict=True)
        for (text, first, last), confidence in words:
            start, end = hypothesis.frames[first][0], hypothesis.frames[last - 1][1]
            yield Word(text, round(start * seconds, 3), round(end * seconds, 3), confidence)

    def _alternatives(self, hypotheses: Sequence[Hypothesis]) -> Iterator[Alternative]:
        """Of hypotheses, best first, those whose text is not that of one before them."""
        seen = {self.decoder.text(hypotheses[0])}
        for hypothesis in hypotheses[1:]:
            if (text := self.decoder.text(hypothesis)) not in seen:
                seen.add(text)
                if self.writer is not None:
                    text = text_of(self.writer.words(tuple(self.words(hypothesis))))
                yield Alternative(text, hypotheses[0].score - hypothesis.score)

    def align(
        self,
        source: Source,
        text: str,
        *,
        sample_rate: int | None = None,
        head: str | None = None,
        lexicon: str | Path | Lexicon | None = None,
        pronouncer: str | Path | None = None,
    ) -> Transcript:
        """Find the time of each word of a known text in one recording (forced alignment).

        Words that the model cannot write, or pronounce, get the time between their neighbors. These, a text that does
        not fit the recording (`Transcript.fits`) and words that do not are logged as warnings.

        Args:
            source: as in `transcribe`.
            text: the text that is spoken.
            sample_rate: as in `transcribe`.
            head: the head that aligns; None: `SpeechTask.alignment_head`, or with a ``lexicon`` or ``pronouncer`` the
                one that is decoded.
            lexicon: file of a pronunciation dictionary, or what was read from one, for a head of phones.
            pronouncer: directory of a seq2seq model that pronounces words that the ``lexicon`` lacks.

        Raises:
            AudioError: the file cannot be read; the message names it.
            InputError: an array that the model does not read, a text of which it cannot write any word, or a recording
                that is too short for it.
        """
        given = lexicon is not None or pronouncer is not None
        head = head or (self.head if given else self.task.alignment_head)
        check_choice("head", head, self.task.vocabularies)
        if not isinstance(text, str):
            raise InputError(f"a text of type {type(text).__name__}; a string is needed")
        aligner = make_aligner(self.task.vocabularies[head], text, lexicon, pronouncer, self.task.transducer)
        runner = Recognizer(self.task, batch_seconds=self.batch_seconds, head=head, decoder=aligner)
        transcript = runner.transcribe(source, sample_rate)
        name = describe_source(source)
        for warning in transcript.warnings:
            log.warning("%s", f"{name}: {warning}" if name else warning)
        return transcript

    def align_all(
        self,
        pairs: Sequence[tuple[Source, str]],
        *,
        head: str | None = None,
        lexicon: str | Path | Lexicon | None = None,
        pronouncer: str | Path | None = None,
    ) -> Iterator[tuple[int, Transcript | InputError]]:
        """Align many texts, one after another.

        Args:
            pairs: recordings, each with its text.
            head: as in `align`.
            lexicon: as in `align`.
            pronouncer: as in `align`.

        Yields:
            The index of a pair and its transcript, or the error of one that cannot be aligned.
        """
        if lexicon is not None or pronouncer is not None:  # read once
            words = [word for _, text in pairs for word in words_of_text(text)]
            lexicon, pronouncer = lexicon_for(words, lexicon, pronouncer), None
        for index, (source, text) in enumerate(pairs):
            try:
                yield index, self.align(source, text, head=head, lexicon=lexicon, pronouncer=pronouncer)
            except InputError as error:
                name = describe_source(source)
                message = str(error).removeprefix(f"{source_name(source)}: ")
                yield index, error if not name or name in message else InputError(f"{name}: {message}")


def advance_search(search: Search, frames: Sequence[np.ndarray], is_last: bool) -> list[Hypothesis] | InputError | None:
    """Feed frames to a search.

    Args:
        search: the search over one recording.
        frames: the recording's next frames, in arrays (T, D).
        is_last: whether these are the last ones of the recording.

    Returns:
        The hypotheses if these are the last frames, None if not, or the error with which the search failed.
    """
    try:
        for part in frames:
            search.feed(part)
        return search.finish() if is_last else None
    except InputError as error:
        return error
