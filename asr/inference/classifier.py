"""Run classifiers: the class of a recording, and words detected in a long one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr.errors import InputError
from asr.features.silence import has_signal
from asr.inference import detection
from asr.inference.detection import Detection
from asr.inference.inputs import (
    Source,
    as_source,
    check_batch_seconds,
    check_sources,
    input_rate,
    read_blocks,
    source_name,
)
from asr.inference.windows import Window, make_batches, pad_windows
from asr.models import directory as directory_module
from asr.models import store
from asr.tasks.classification import ClassificationTask

MAX_SECONDS = 600.0  # of a recording that is classified as a whole: it is held in memory
WINDOW_SECONDS = 1.0  # for a model whose directory does not have the mean duration of its training utterances
THRESHOLD = 0.5

Ranking = list[tuple[str, float]]  # classes and their probabilities, the most probable first


class Classifier:
    """Classifies recordings, and detects words in long ones, with one task. Not thread-safe: use one for each thread.

    Args:
        task: the network; it stays on its device.
        batch_seconds: seconds of audio in a batch, padding included; less takes less memory.
        window: seconds of a window of `detect`.
    """

    def __init__(
        self, task: ClassificationTask, *, batch_seconds: float = 240.0, window: float = WINDOW_SECONDS
    ) -> None:
        self.task = task.eval()
        self.device = next(task.parameters()).device
        check_batch_seconds(batch_seconds)
        self.batch_seconds = batch_seconds
        self.window = window

    @classmethod
    def load(
        cls, model: str | Path, *, device: str = "cpu", batch_seconds: float = 240.0, window: float | None = None
    ) -> Classifier:
        """Load a classifier.

        Args:
            model: a model directory, or the directory of a training run.
            device: of torch: cpu, cuda, cuda:1 …
            batch_seconds: see `Classifier`.
            window: see `Classifier`; None: the mean duration of the training utterances.

        Raises:
            InputError: a path that holds no classifier, or a device that cannot be used.
        """
        directory = directory_module.find(model)
        task = store.on_device(store.load(directory, ClassificationTask), device)
        window = mean_utterance_seconds(directory) if window is None else window
        return cls(task, batch_seconds=batch_seconds, window=window)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.task.vocabulary.tokens

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms that the model reads; None for one that reads precomputed features."""
        return self.task.features.sample_rate

    def classify(self, source: Source, sample_rate: int | None = None) -> Ranking:
        """Return the classes and their probabilities for one recording, the most probable first.

        A recording without any signal (`asr.features.silence`) is no word: the ranking has only classes whose name
        begins with an underscore (``_silence_``), and is empty where the model has none.

        Args:
            source: a path, a binary stream, the bytes of a file, a `Recording` (one channel or track of a file), or
                floats in an array, tensor or list: (S,) or (channels, S) samples within ±1, or (T, F) feature frames
                for a model of precomputed features.
            sample_rate: of an array in Hz; None: the model's.

        Raises:
            AudioError: the file cannot be read; the message names it.
            InputError: an array that the model does not read, or a recording longer than `MAX_SECONDS`.
        """
        ((_, result),) = self.classify_all([as_source(source, self.task.features, sample_rate)])
        if isinstance(result, InputError):
            raise result
        return result

    def classify_all(self, sources: Sequence[Source]) -> Iterator[tuple[int, Ranking | InputError]]:
        """Classify many recordings, in batches.

        Args:
            sources: as in `classify`; those of similar length next to each other make full batches.

        Yields:
            The index of a source and its ranking, as they are finished, or the error of one that cannot be read.
        """
        max_inputs = self.batch_seconds * input_rate(self.task.features)
        for batch in make_batches(check_sources(sources), self._whole, max_inputs):
            if isinstance(batch, tuple):
                yield batch
                continue
            for window, probabilities in zip(batch, self._probabilities(batch), strict=True):
                order = np.argsort(-probabilities, kind="stable")
                ranking = [(self.classes[label], float(probabilities[label])) for label in order]
                if not self._has_signal(window.inputs):
                    ranking = [(name, probability) for name, probability in ranking if not is_word(name)]
                yield window.source, ranking

    def _whole(self, index: int, source: Source) -> Iterator[Window]:
        """One window over the whole of a source."""
        parts: list[np.ndarray] = []
        limit = MAX_SECONDS * input_rate(self.task.features)
        for block in read_blocks(source, self.task.features):
            parts.append(block)
            if sum(map(len, parts)) > limit:
                name = source_name(source) or "the recording"
                raise InputError(f"{name}: longer than {MAX_SECONDS:g} s; detect words in it instead (--detect)")
        yield Window(index, torch.from_numpy(np.concatenate(parts)))

    def detect(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        window: float | None = None,
        hop: float | None = None,
        threshold: float = THRESHOLD,
    ) -> Iterator[Detection]:
        """Detect words in a long recording, which is read twice.

        Segments of speech are found by their level. A segment that is no longer than two windows counts as one word; in
        a longer one a window is classified every ``hop`` seconds, and of overlapping windows the most probable is kept.

        Args:
            source: as in `classify`.
            sample_rate: as in `classify`.
            window: seconds of a window; None: that of this runner.
            hop: seconds from one window to the next; None: a quarter of a window.
            threshold: probability from which on a window is a word. Classes whose name begins with an underscore
                (``_silence_``, ``_unknown_``) are no words.

        Yields:
            The words in order of time, as they are found.

        Raises:
            InputError: options outside their range, at once; and what `classify` raises.
        """
        window = self.window if window is None else window
        hop = window / 4 if hop is None else hop
        if not (detection.FRAME_SECONDS <= window < np.inf and detection.FRAME_SECONDS <= hop < np.inf):
            raise InputError(f"window={window:g}, hop={hop:g}: use seconds from {detection.FRAME_SECONDS}")
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold={threshold:g}: use a probability from 0 to 1")
        if (rate := self.sample_rate) is None:
            raise InputError("words are detected in audio; this model reads precomputed features")
        return self._detect(source, sample_rate, rate, window, hop, threshold)

    def detect_all(
        self,
        sources: Sequence[Source],
        *,
        window: float | None = None,
        hop: float | None = None,
        threshold: float = THRESHOLD,
    ) -> Iterator[tuple[int, list[Detection] | InputError]]:
        """Detect words in many recordings, one after another.

        Args:
            sources: as in `detect`.
            window: as in `detect`.
            hop: as in `detect`.
            threshold: as in `detect`.

        Yields:
            The index of a source and its words in order of time, or the error of one that cannot be read.

        Raises:
            InputError: options outside their range.
        """
        for index, source in enumerate(check_sources(sources)):
            detections = self.detect(source, window=window, hop=hop, threshold=threshold)
            try:
                yield index, list(detections)
            except InputError as error:
                yield index, error

    def _detect(
        self, source: Source, sample_rate: int | None, rate: int, window: float, hop: float, threshold: float
    ) -> Iterator[Detection]:
        source = as_source(source, self.task.features, sample_rate)
        size = round(detection.FRAME_SECONDS * rate)
        level = detection.speech_level(detection.split_frames(read_blocks(source, self.task.features), size))
        if level is None:
            return
        frames = detection.split_frames(read_blocks(source, self.task.features), size)
        seconds = size / rate
        for segment in detection.speech_segments(frames, level):
            if not self._has_signal(torch.from_numpy(segment.samples)):
                continue
            spans = detection.window_spans(len(segment.samples), round(window * rate), round(hop * rate))
            rows = self._probabilities([Window(0, torch.from_numpy(segment.samples[a:b])) for a, b in spans])
            detections = []
            for (first, end), row in zip(spans, rows, strict=True):
                begin = (segment.first - segment.margin) * seconds
                start = max(begin + first / rate, segment.first * seconds)
                stop = min(begin + end / rate, segment.end * seconds)
                best = int(row.argmax())
                if row[best] >= threshold and is_word(self.classes[best]):
                    detections.append(Detection(self.classes[best], round(start, 3), round(stop, 3), float(row[best])))
            yield from detection.suppress_overlaps(detections)

    def _has_signal(self, inputs: Tensor) -> bool:
        """Whether there is a signal in a waveform (S,); features (T, F) are taken to have one."""
        return self.sample_rate is None or has_signal(inputs, self.sample_rate)

    @torch.inference_mode()
    def _probabilities(self, windows: Sequence[Window]) -> np.ndarray:
        """Probabilities (N, C) of the classes for N windows."""
        log_probs = self.task(*pad_windows(windows, self.device))
        probabilities: np.ndarray = log_probs.exp().cpu().numpy()
        return probabilities


def is_word(name: str) -> bool:
    """Return whether a class is a word: its name does not begin with an underscore (``_silence_``, ``_unknown_``)."""
    return not name.startswith("_")


def mean_utterance_seconds(directory: Path) -> float:
    """Return the mean duration of a model's training utterances by its metrics; WINDOW_SECONDS if they lack it."""
    try:
        return float(json.loads((directory / directory_module.METRICS).read_bytes())["training"]["mean_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return WINDOW_SECONDS


def classify_files(
    sources: Sequence[Source], model: str | Path, *, device: str = "cpu"
) -> Iterator[tuple[int, Ranking | InputError]]:
    """Classify recordings with a model directory (`asr classify`).

    Args:
        sources: as in `Classifier.classify`.
        model: as in `Classifier.load`.
        device: as in `Classifier.load`.

    Returns:
        An iterator over the results, see `Classifier.classify_all`.

    Raises:
        InputError: what `Classifier.load` raises.
    """
    return Classifier.load(model, device=device).classify_all(sources)


def detect_words(
    sources: Sequence[Source],
    model: str | Path,
    *,
    window: float | None = None,
    hop: float | None = None,
    threshold: float = THRESHOLD,
    device: str = "cpu",
) -> Iterator[tuple[int, list[Detection] | InputError]]:
    """Detect words in long recordings with a model directory (`asr classify --detect`).

    Args:
        sources: as in `Classifier.classify`.
        model: as in `Classifier.load`.
        window: as in `Classifier.detect`.
        hop: as in `Classifier.detect`.
        threshold: as in `Classifier.detect`.
        device: as in `Classifier.load`.

    Returns:
        An iterator over the results, see `Classifier.detect_all`.

    Raises:
        InputError: what `Classifier.load` raises.
    """
    classifier = Classifier.load(model, device=device)
    return classifier.detect_all(sources, window=window, hop=hop, threshold=threshold)
