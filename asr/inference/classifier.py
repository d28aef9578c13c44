"""A loaded classifier: which class a recording is of, and which words are said where in a long one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from asr.data.batch import pad
from asr.errors import InputError
from asr.inference import detection
from asr.inference.detection import Detection
from asr.inference.inputs import Source, blocks, prepared
from asr.models import directory as directory_module
from asr.models import store
from asr.tasks.classification import ClassificationTask

LONGEST_SECONDS = 600.0  # of what is classified as one: it is held in memory
WINDOW_SECONDS = 1.0  # where the model does not say how long the utterances are that it was trained on
THRESHOLD = 0.5

__all__ = ["Classifier", "Detection", "load"]

Ranking = list[tuple[str, float]]  # classes and their probabilities, best first


def load(model: str | Path, *, device: str = "cpu") -> Classifier:
    """The classifier of a model directory, or of the run that holds one. Raises InputError for anything else."""
    directory = directory_module.find(model)
    task = store.on_device(store.load(directory, ClassificationTask), device)
    return Classifier(task, device=device, window=mean_seconds(directory))


def mean_seconds(directory: Path) -> float:
    """How long the utterances are that a model was trained on; WINDOW_SECONDS where its metrics do not say so."""
    try:
        return float(json.loads((directory / directory_module.METRICS).read_bytes())["training"]["mean_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return WINDOW_SECONDS


class Classifier:
    """Classifies with one task; ``window`` is in seconds. Not thread-safe: use one a thread."""

    def __init__(
        self,
        task: ClassificationTask,
        *,
        device: str = "cpu",
        batch_seconds: float = 240.0,
        window: float = WINDOW_SECONDS,
    ) -> None:
        torch.set_flush_denormal(True)
        self.device = torch.device(device)
        self.task = task.eval().to(self.device)
        self.batch_seconds = batch_seconds
        self.window = window

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.task.vocabulary.tokens

    @property
    def sample_rate(self) -> int | None:
        """Of the waveforms that the model reads; None for one that reads precomputed features."""
        return self.task.features.sample_rate

    def classify(self, source: Source, sample_rate: int | None = None) -> Ranking:
        """(class, probability) of a file, a binary stream or an array, best first.

        ``source`` and ``sample_rate`` are as in `asr.inference.recognizer.Recognizer.transcribe`, errors too.
        """
        if isinstance(source, np.ndarray):
            source = prepared(source, self.task.features, sample_rate)
        ((_, result),) = self.classify_all([source])
        if isinstance(result, Exception):
            raise result
        return result

    def classify_all(self, sources: Sequence[Source]) -> Iterator[tuple[int, Ranking | InputError]]:
        """(index, `classify`) of each source, in batches; (index, error) of one that cannot be read."""
        rate = self.sample_rate or 1 / self.task.features.frame_seconds
        waiting: dict[int, np.ndarray] = {}
        longest = 0
        for index, source in enumerate(sources):
            try:
                array = self._read(source)
            except InputError as error:
                yield index, error
                continue
            longest = max(longest, len(array))
            if waiting and (len(waiting) + 1) * longest > self.batch_seconds * rate:
                yield from zip(waiting, map(self._ranking, self._probabilities([*waiting.values()])), strict=True)
                waiting, longest = {}, len(array)
            waiting[index] = array
        if waiting:
            yield from zip(waiting, map(self._ranking, self._probabilities([*waiting.values()])), strict=True)

    def detect(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        window: float | None = None,
        hop: float | None = None,
        threshold: float = THRESHOLD,
    ) -> Iterator[Detection]:
        """Words in a long recording, in order of time, as they are found.

        Stretches of speech are found by their loudness. One that is no longer than two windows of
        ``window`` seconds (None: as long as the mean utterance of the training) is taken for one word; in a longer one
        a window is classified every ``hop`` seconds (None: a quarter of it), and of those that overlap the likeliest
        is kept. What is less likely than ``threshold``, or of a class whose name begins with an underscore
        (``_silence_``, ``_unknown_``), is no word.

        ``source`` is read twice. Raises what `classify` raises, and InputError for settings that make no sense.
        """
        window = self.window if window is None else window
        hop = window / 4 if hop is None else hop
        if not (detection.FRAME <= window < np.inf and detection.FRAME <= hop < np.inf):
            raise InputError(f"window={window:g}, hop={hop:g}: seconds from {detection.FRAME} are wanted")
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold={threshold:g}: a probability from 0 to 1 is wanted")
        if (rate := self.sample_rate) is None:
            raise InputError("this model reads features, in which words cannot be detected: it takes a model of audio")
        if isinstance(source, np.ndarray):
            source = prepared(source, self.task.features, sample_rate)
        return self._detect(source, rate, window, hop, threshold)

    def _detect(self, source: Source, rate: int, window: float, hop: float, threshold: float) -> Iterator[Detection]:
        size = round(detection.FRAME * rate)
        level = detection.speech_level(detection.frames(blocks(source, self.task.features), size))
        if level is None:
            return
        seconds = size / rate
        for stretch in detection.stretches(detection.frames(blocks(source, self.task.features), size), level):
            spans = detection.windows(len(stretch.samples), round(window * rate), round(hop * rate))
            rows = self._probabilities([stretch.samples[first:end] for first, end in spans])
            found = []
            for (first, end), row in zip(spans, rows, strict=True):
                begin = (stretch.first - stretch.before) * seconds
                start = max(begin + first / rate, stretch.first * seconds)
                stop = min(begin + end / rate, stretch.end * seconds)
                best = int(row.argmax())
                if row[best] >= threshold and not self.classes[best].startswith("_"):
                    found.append(Detection(self.classes[best], round(start, 3), round(stop, 3), float(row[best])))
            yield from detection.suppress(found)

    def _read(self, source: Source) -> np.ndarray:
        """All that the model reads of a source."""
        rate = self.sample_rate or 1 / self.task.features.frame_seconds
        parts: list[np.ndarray] = []
        for block in blocks(source, self.task.features):
            parts.append(block)
            if sum(map(len, parts)) > LONGEST_SECONDS * rate:
                name = "the array" if isinstance(source, np.ndarray) else source
                raise InputError(f"{name}: longer than {LONGEST_SECONDS:g} s: detect words in it instead")
        return np.concatenate(parts)

    @torch.inference_mode()
    def _probabilities(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """(N, C) of as many inputs."""
        inputs, lengths = pad([torch.from_numpy(array) for array in arrays])
        return self.task(inputs.to(self.device), lengths.to(self.device)).exp().cpu().numpy()

    def _ranking(self, row: np.ndarray) -> Ranking:
        return [(self.classes[label], float(row[label])) for label in np.argsort(-row, kind="stable")]
