"""Speech dataset: utterances of a manifest as audio or features with labels, in padded batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from asr import audio
from asr.audio.perturbation import Perturbation
from asr.data import manifest
from asr.data.batch import SpeechBatch, Targets, pad
from asr.data.perturber import Perturber
from asr.errors import InputError
from asr.features import read_kaldi, read_sphinx
from asr.text.outside import log_skipped
from asr.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lhotse import MonoCut

log = logging.getLogger(__name__)

# of feature files, by Lhotse's storage type
READERS: dict[str, Callable[[str], np.ndarray]] = {"sphinx_mfc": read_sphinx, "kaldiio": read_kaldi}


@dataclass(frozen=True)
class SpeechExample:
    """One utterance.

    Attributes:
        id: its name.
        inputs: samples (S,) or features (T, D), float32.
        labels: of each head; None where the utterance has none.
        references: of each head, the text (or phones) for error rates; None where the utterance has none.
        seconds: its duration.
        padding: number of samples of silence or noise that perturbation has put before and after the utterance.
        clean: samples (S,) without reverberation, noise, band limits and gain, for a teacher; None: there is none.
    """

    id: str
    inputs: Tensor
    labels: Mapping[str, Sequence[int] | None]
    references: Mapping[str, str | None]
    seconds: float
    padding: tuple[int, int] = (0, 0)
    clean: Tensor | None = None


class SpeechDataset(Dataset[SpeechExample]):
    """Utterances with their audio or features and their labels.

    An item is read by its index, or by (epoch, index) in training, where perturbation depends on (seed, epoch, index)
    only. All texts are encoded when the dataset is made. Recordings of up to ``cache_hours`` in all are kept in memory
    as 16-bit samples, each decoded once: decoding takes longer than training, and reading a compressed file cannot
    begin in its middle.

    Args:
        cuts: the utterances, see `asr.data.manifest`.
        vocabularies: of each head.
        sample_rate: of the audio, in Hz; None: the cuts have features instead.
        encode: make labels; False where only references are needed, whose text may be outside a vocabulary.
        skip_unknown: give an utterance no labels of a head whose vocabulary refuses its text.
        perturbation: of the waveforms in training (`Perturber`).
        cache_hours: largest total duration of recordings to keep in memory.
        seed: of the perturbation.
        clean: give each training utterance as it is before its perturbation, too.

    Attributes:
        refused: for each head, what of the texts that ``skip_unknown`` skips is outside the vocabulary, by utterance.

    Raises:
        InputError: an utterance without the audio or features needed, or with text outside a vocabulary; it is named.
    """

    def __init__(
        self,
        cuts: Sequence[MonoCut],
        vocabularies: Mapping[str, Vocabulary],
        sample_rate: int | None,
        *,
        encode: bool = True,
        skip_unknown: bool = False,
        perturbation: Perturbation | None = None,
        cache_hours: float = 12.0,
        seed: int = 0,
        clean: bool = False,
    ) -> None:
        self.cuts = list(cuts)
        self.sample_rate = sample_rate
        self.vocabularies = dict(vocabularies)
        self.seed = seed
        self.clean = clean
        self.seconds = [cut.duration for cut in self.cuts]
        recordings = {manifest.audio_path(cut): cut.recording.duration for cut in self.cuts if cut.recording}
        self.caches = sum(recordings.values()) <= cache_hours * 3600
        self._cache: dict[str, np.ndarray] = {}
        self._perturb = Perturber(perturbation, sample_rate) if perturbation and sample_rate else None
        if perturbation and perturbation.nonspeech_probability and encode:
            for head, vocabulary in self.vocabularies.items():
                if vocabulary.kind == "classes":
                    raise InputError(
                        f"data.perturbation.nonspeech_probability: head {head} has no class for non-speech"
                    )
        for cut in self.cuts:
            self._check_source(cut)
        self.references: list[dict[str, str | None]] = []
        self.labels: list[dict[str, list[int] | None]] = []
        self.refused: dict[str, dict[str, list[str]]] = {head: {} for head in self.vocabularies}
        for cut in self.cuts:
            texts = {head: transcript(cut, vocabulary) for head, vocabulary in self.vocabularies.items()}
            self.references.append(
                {h: None if t is None else self.vocabularies[h].normalize_for_scoring(t) for h, t in texts.items()}
            )
            if encode and skip_unknown:
                texts = {head: self._unless_refused(head, text, cut.id) for head, text in texts.items()}
            self.labels.append(
                {
                    h: None if t is None or not encode else self.vocabularies[h].encode(t, cut.id)
                    for h, t in texts.items()
                }
            )
        if encode:
            for vocabulary in self.vocabularies.values():
                log_skipped(vocabulary, ((cut.id, transcript(cut, vocabulary) or "") for cut in self.cuts))

    def _unless_refused(self, head: str, text: str | None, id: str) -> str | None:
        """Return the text of an utterance for a head, or None, noted in ``refused``, if its vocabulary refuses it."""
        vocabulary = self.vocabularies[head]
        if text is None or vocabulary.unknown != "error" or not (outside := vocabulary.outside(text)):
            return text
        self.refused[head][id] = outside
        return None

    def _check_source(self, cut: MonoCut) -> None:
        if self.sample_rate is None and cut.features is None:
            raise InputError(
                f"utterance {cut.id} has audio only; this model reads features (features: precomputed), not audio"
            )
        if self.sample_rate is not None and cut.recording is None:
            raise InputError(f"utterance {cut.id} has features only; this model reads audio")

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, key: int | tuple[int, int]) -> SpeechExample:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        before = after = 0
        samples, labels, references = self._read(index), self.labels[index], self.references[index]
        clean = samples
        if epoch is not None and self._perturb and samples.ndim == 1:
            rng = np.random.default_rng([self.seed, epoch, index])
            if self._perturb.draw_nonspeech(rng):
                samples = clean = self._perturb.nonspeech(samples, rng)
                labels = {head: None if of_head is None else [] for head, of_head in labels.items()}
                references = {head: None if text is None else "" for head, text in references.items()}
            else:
                samples, before, after, clean = self._perturb(samples, rng)
        return SpeechExample(
            self.cuts[index].id,
            torch.from_numpy(samples),
            labels,
            references,
            self.seconds[index],
            (before, after),
            torch.from_numpy(clean) if self.clean and epoch is not None else None,
        )

    def _read(self, index: int) -> np.ndarray:
        cut = self.cuts[index]
        if self.sample_rate is None:
            return self._features(cut)
        path, rate = str(manifest.audio_path(cut)), self.sample_rate
        if not self.caches:
            return audio.read(path, rate, start=cut.start, duration=cut.duration, strict=True)
        if path not in self._cache:
            samples = np.rint(audio.read(path, rate, strict=True) * 32768)
            self._cache[path] = np.clip(samples, -32768, 32767).astype(np.int16)
        first, last = round(cut.start * rate), round((cut.start + cut.duration) * rate)
        return self._cache[path][first:last].astype(np.float32) / 32768

    def _features(self, cut: MonoCut) -> np.ndarray:
        key = cut.features.storage_key
        place = f"{cut.features.storage_path}:{key}" if key else cut.features.storage_path
        if place not in self._cache:
            self._cache[place] = READERS[cut.features.storage_type](place)
        return self._cache[place]

    def collate(self, examples: Sequence[SpeechExample]) -> SpeechBatch:
        """Make a padded batch of examples."""
        inputs, lengths = pad([example.inputs for example in examples])
        clean = [example.clean for example in examples if example.clean is not None]
        return SpeechBatch(
            ids=[example.id for example in examples],
            inputs=inputs,
            lengths=lengths,
            targets={head: Targets.of([e.labels[head] for e in examples]) for head in self.vocabularies},
            references={head: [e.references[head] for e in examples] for head in self.vocabularies},
            seconds=sum(example.seconds for example in examples),
            padding=torch.tensor([e.padding for e in examples]) if any(any(e.padding) for e in examples) else None,
            clean=pad(clean)[0] if clean else None,
        )

    def input_lengths(self) -> Tensor:
        """Return the number of samples or frames of each utterance, (len(self),) int64, without reading it."""
        if self.sample_rate is None:
            return torch.tensor([cut.features.num_frames for cut in self.cuts])
        return torch.tensor([round(seconds * self.sample_rate) for seconds in self.seconds])


def transcript(cut: MonoCut, vocabulary: Vocabulary) -> str | None:
    """Return the reference of a cut in the units of a vocabulary: its phones or its text; None where it has none."""
    return manifest.phones(cut) if vocabulary.kind == "phones" else cut.supervisions[0].text
