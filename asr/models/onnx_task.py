"""Exported recognizers: the network of ``model.onnx``, run by onnxruntime, in the place of a task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.models.directory import CONFIG, ONNX, read_config
from asr.models.store import load_vocabularies
from asr.registry import build
from asr.tasks.recognition import RecognitionTask
from asr.tasks.speech_frontend import FEATURES
from asr.text.vocabulary import Vocabulary
from asr.utils.permissions import check_readable

FORMAT = "1"  # of the metadata, inputs and outputs; docs/onnx.md describes it
LENGTHS, OUTPUT_LENGTHS = "lengths", "output_lengths"
OUTPUT = "log_probs.{}"  # of a head

MISSING = "the extra onnx is not installed (pip install 'asr-recurrent[onnx]')"


@dataclass(frozen=True)
class NetworkFile:
    """An open ``model.onnx``.

    Attributes:
        path: of the file.
        session: of onnxruntime.
        metadata: what the file says of itself.
        heads: of each head its labels, in the order of the output's columns.
    """

    path: Path
    session: Any
    metadata: Mapping[str, str]
    heads: Mapping[str, Sequence[str]]

    @classmethod
    def open(cls, path: Path) -> NetworkFile:
        """Open a file, to be run on as many threads as torch has.

        Raises:
            InputError: onnxruntime is not installed, the file is damaged, or it was not written by `asr export`.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(f"{path}: {MISSING}") from error
        check_readable(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        options.log_severity_level = 3  # errors; its warnings concern those who write graphs
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen classes without a common base
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{path}: cannot be opened by onnxruntime: {reason}") from error
        metadata = session.get_modelmeta().custom_metadata_map
        if metadata.get("format") != FORMAT:
            raise InputError(
                f"{path}: format {metadata['format']} of another version of asr; this one reads {FORMAT}"
                if "format" in metadata
                else f"{path}: not written by asr export: its metadata lack the key format"
            )
        try:
            heads = {head: list(options["labels"]) for head, options in json.loads(metadata["heads"]).items()}
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: damaged metadata, key heads") from error
        return cls(path, session, metadata, heads)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(self.metadata.get("weights", 0))

    def run(self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return outputs by name. Raises InputError if the network does not accept the inputs."""
        try:
            results: list[np.ndarray] = self.session.run(list(outputs), dict(inputs))
        except Exception as error:  # as in `open`
            raise InputError(f"{self.path}: {str(error).strip().partition(chr(10))[0]}") from error
        return results


class OnnxTask(RecognitionTask):
    """A recognizer whose network is an exported one. It cannot be trained, and has no weights of torch.

    Args:
        file: the network.
        config: of its model directory.
        vocabularies: by head, the primary one first.

    Raises:
        InputError: the network and the other files are not of one model.
    """

    def __init__(self, file: NetworkFile, config: Mapping[str, Any], vocabularies: Mapping[str, Vocabulary]) -> None:
        nn.Module.__init__(self)
        self.file = file
        self.vocabularies = dict(vocabularies)
        self.features = build(FEATURES, config["features"], "features")
        self._heads: Mapping[str, Mapping[str, Any]] = config["task"]["heads"]
        self._check_files()
        self._input = next(value.name for value in file.session.get_inputs() if value.name != LENGTHS)
        self.eval()

    def _check_files(self) -> None:
        """Raise InputError unless the vocabularies and the configuration are those of the network."""
        for head, vocabulary in self.vocabularies.items():
            if list(vocabulary.tokens) != list(self.file.heads.get(head, ())):
                raise InputError(f"{self.file.path}: does not fit the vocabulary of the head {head!r} beside it")
        rate = str(self.features.sample_rate or "")
        if self.file.metadata.get("sample_rate", "") != rate:
            raise InputError(f"{self.file.path}: does not fit {CONFIG} beside it: another sample rate")

    @classmethod
    def load(cls, directory: Path, device: str = "cpu") -> OnnxTask:
        """Load an exported model.

        Args:
            directory: holds ``model.onnx`` beside the configuration and the vocabularies.
            device: cpu; other devices are refused.

        Raises:
            InputError: a file is missing or damaged, the files do not fit each other, or as `NetworkFile.open`.
        """
        if torch.device(device).type != "cpu":
            raise InputError(f"device {device!r}: an exported model runs on the cpu")
        config = read_config(directory)
        try:
            return cls(NetworkFile.open(directory / ONNX), config, load_vocabularies(directory, config))
        except InputError as error:
            if str(error).startswith(str(directory)):
                raise
            raise InputError(f"{directory / CONFIG}: {error}") from error

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    @property
    def alignment_head(self) -> str:
        """Name of the head for forced alignment, see `asr.tasks.ctc.CTCTask.alignment_head`."""
        return next((head for head, options in self._heads.items() if options.get("blank_penalty")), self.primary)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return float(self.file.metadata["frame_seconds"])

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Not known without running the network."""
        raise NotImplementedError

    def forward(
        self, inputs: Tensor, lengths: Tensor, heads: Sequence[str] | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Compute log-probabilities (N, T, V) by head, and lengths (N,); see `asr.tasks.ctc.CTCTask.forward`."""
        names = list(heads or self.vocabularies)
        feed = {self._input: inputs.numpy(), LENGTHS: lengths.numpy()}
        *scores, frames = self.file.run([OUTPUT.format(head) for head in names] + [OUTPUT_LENGTHS], feed)
        return {head: torch.from_numpy(array) for head, array in zip(names, scores, strict=True)}, torch.from_numpy(
            frames
        )
