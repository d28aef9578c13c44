"""CTC models in the format of `transformers`, in the place of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.features import Extractor
from asr.models import hub_files
from asr.models.directory import read_config
from asr.models.store import load_vocabularies, on_device
from asr.tasks.recognition import RecognitionTask
from asr.text.alphabet import Alphabet
from asr.text.vocabulary import Vocabulary

MIN_SECONDS = 0.2  # a shorter recording is padded with silence to this: convolutions need some samples
PROBE_SECONDS = 4  # of silence, by which the number of frames a second is counted


class Waveform(Extractor):
    """The place of the feature extractor: these models read samples, and compute their features themselves."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(1, 1 / sample_rate, 0, "utterance", 1.0, True)
        self.sample_rate = sample_rate


class HubTask(RecognitionTask):
    """A recognizer whose network, labels and features are those of a CTC model of `transformers`.

    Control symbols (``<s>``, ``<unk>``) count as blank. Each utterance is computed by itself, as some of these models
    change with padding. It cannot be trained here.

    Args:
        network: an ``AutoModelForCTC``.
        extractor: its ``AutoFeatureExtractor``.
        alphabet: its labels.
        vocabulary: of the labels that are written.
    """

    def __init__(self, network: Any, extractor: Any, alphabet: Alphabet, vocabulary: Vocabulary) -> None:
        nn.Module.__init__(self)
        self.network = network
        self._extractor = extractor
        self.vocabularies = {hub_files.HEAD: vocabulary}
        self.features = Waveform(int(extractor.sampling_rate))
        self._written = hub_files.written_columns(alphabet)
        self._hidden = list(alphabet.hidden)
        self.eval()
        once, twice = (self._count_frames(seconds) for seconds in (PROBE_SECONDS, 2 * PROBE_SECONDS))
        self._frame_seconds = PROBE_SECONDS / (twice - once)

    @classmethod
    def load(cls, directory: Path, device: str = "cpu") -> HubTask:
        """Load the model that a directory of `asr.models.hub_files.model_directory` stands for.

        Raises:
            InputError: its files are missing or damaged, or no safetensors; or a device that cannot be used.
        """
        config = read_config(directory)
        hub: Mapping[str, Any] = config["hub"]
        transformers, options = hub_files.load_transformers(hub["model"]), dict(hub["options"])
        if "target_lang" in options:  # the last layer has the size of the language's alphabet
            options["ignore_mismatched_sizes"] = True
        network = hub_files.call(
            hub["model"], transformers.AutoModelForCTC.from_pretrained, hub["source"], use_safetensors=True, **options
        )
        local = {key: value for key, value in options.items() if key == "local_files_only"}
        extractor = hub_files.call(
            hub["model"], transformers.AutoFeatureExtractor.from_pretrained, hub["source"], **local
        )
        (vocabulary,) = load_vocabularies(directory, config).values()
        alphabet = Alphabet.of(hub["labels"], hub["blank"], hub["space"])
        width = network.config.vocab_size
        if max(hub_files.written_columns(alphabet)) >= width:
            raise InputError(f"{hub['model']}: its tokenizer has {len(alphabet.labels)} labels, its network {width}")
        network.float()  # weights of 16 bits are for other devices, and features are of 32
        return on_device(cls(network, extractor, alphabet, vocabulary), device)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return self._frame_seconds

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Not known without running the network."""
        raise NotImplementedError

    @torch.inference_mode()
    def _count_frames(self, seconds: int) -> int:
        return len(self._logits(torch.zeros(seconds * self.features.sample_rate)))  # type: ignore[operator]

    def _logits(self, waveform: Tensor) -> Tensor:
        """Return the scores (T, V) of a waveform (S,)."""
        assert self.features.sample_rate is not None
        short = int(MIN_SECONDS * self.features.sample_rate) - len(waveform)
        samples = nn.functional.pad(waveform, (0, max(short, 0))).cpu().numpy()
        inputs = self._extractor(samples, sampling_rate=self.features.sample_rate, return_tensors="pt")
        (logits,) = self.network(**inputs.to(self.device)).logits
        scores: Tensor = logits.float()
        return scores

    @torch.inference_mode()
    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        heads: Sequence[str] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute log-probabilities (N, T, V) by head, and lengths (N,); see `asr.tasks.ctc.CTCTask.forward`."""
        rows = []
        for waveform, length in zip(inputs, lengths.tolist(), strict=True):
            log_probs = self._logits(waveform[:length]).log_softmax(-1)
            kept = log_probs[:, self._written].clone()
            hidden = [label for label in self._hidden if label < log_probs.shape[1]]
            kept[:, 0] = log_probs[:, [self._written[0], *hidden]].logsumexp(-1)
            rows.append(kept)
        frames = torch.tensor([len(row) for row in rows])
        return {hub_files.HEAD: nn.utils.rnn.pad_sequence(rows, batch_first=True)}, frames
