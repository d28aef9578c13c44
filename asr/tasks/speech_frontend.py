"""The parts that all tasks on speech have: feature extractor, augmentations, encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr import features
from asr.features.specaugment import SpecAugment, SpectrogramWarp
from asr.registry import build
from asr.tasks._builders import build_encoder

FEATURES = {
    "filterbank": features.FilterBank,
    "kaldi_fbank": features.KaldiFilterBank,
    "kaldi_mfcc": features.KaldiMFCC,
    "mfcc": features.MFCC,
    "precomputed": features.Precomputed,
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
