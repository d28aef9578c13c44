"""The parts that all tasks on speech have, feature extractor, augmentations and encoder, and their base class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from asr.errors import InputError
from asr.features import MFCC, Extractor, FilterBank, KaldiFilterBank, KaldiMFCC, Precomputed
from asr.features.specaugment import SpecAugment, SpectrogramWarp
from asr.modules.encoder import Encoder
from asr.registry import build
from asr.tasks._builders import build_encoder
from asr.tasks.base import Task
from asr.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from asr.modules.transducer_head import TransducerHead

FEATURES = {
    "filterbank": FilterBank,
    "kaldi_fbank": KaldiFilterBank,
    "kaldi_mfcc": KaldiMFCC,
    "mfcc": MFCC,
    "precomputed": Precomputed,
}
AUGMENTATIONS = {"specaugment": SpecAugment, "warp": SpectrogramWarp}


def build_speech_frontend(config: Mapping[str, Any]) -> dict[str, Any]:
    """Build the modules of the groups ``features``, ``encoder`` and ``augmentation`` of a configuration.

    Args:
        config: ``augmentation`` may be missing; it is a mapping of names to options, null for none.

    Returns:
        ``features`` (an `Extractor`), ``encoder`` (an `Encoder` of its features) and ``augmentation`` (a list).

    Raises:
        InputError: a type or an option is unknown or out of range.
    """
    with torch.device("cpu"):  # its tables are computed here, also where networks are made without content
        extractor = build(FEATURES, config["features"], "features")
    return {
        "features": extractor,
        "encoder": build_encoder(config, extractor.dim),
        "augmentation": [
            build(AUGMENTATIONS, options, f"augmentation.{name}")
            for name, options in (config.get("augmentation") or {}).items()
            if options
        ],
    }


class SpeechTask(Task):
    """A task that reads speech; a subclass adds what comes after the encoder.

    Args:
        features: feature extractor.
        encoder: of its features.
        vocabularies: by head, the primary one first.
        augmentation: modules that map features (N, T, F) and lengths (N,) to others, in training, with an attribute
            ``changes_time``.
    """

    groups: ClassVar[tuple[str, ...]] = ("features", "encoder")
    parts: ClassVar[tuple[str, ...]] = ("encoder",)

    features: Extractor
    encoder: Encoder

    def __init__(
        self,
        features: Extractor,
        encoder: Encoder,
        vocabularies: Mapping[str, Vocabulary],
        augmentation: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.features = features
        self.augmentation = nn.ModuleList(augmentation)
        self.encoder = encoder
        self.vocabularies = dict(vocabularies)

    def weights_of_part(self, part: str, model: Task, where: str) -> dict[str, Tensor]:
        """See `Task.weights_of_part`: the encoder of another task on speech, with the statistics of its features."""
        if not isinstance(model, SpeechTask):
            raise InputError(f"{where}: a model without an encoder of speech")
        own = [name for name in self.state_dict() if name.split(".")[0] in ("features", "encoder")]
        state = model.state_dict()
        if missing := [name for name in own if name not in state]:
            raise InputError(f"{where}: has no {missing[0]}, which the network of this configuration has")
        return {name: state[name] for name in own}

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def transducer(self) -> TransducerHead | None:
        """The networks that a search runs besides reading the output frames; None where these are log-probabilities."""
        return None

    @property
    def alignment_head(self) -> str:
        """Name of the head for forced alignment."""
        return self.primary

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output frame to the next."""
        return self.features.frame_seconds * self.encoder.stride

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of output frames (N,) for ``lengths`` (N,) of the inputs, in samples or feature frames."""
        return self.encoder.output_lengths(self.features.output_lengths(lengths))
