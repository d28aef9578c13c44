"""What tasks that read speech have in common: features, augmentation, encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr import features
from asr.features.specaugment import SpecAugment, SpectrogramWarp
from asr.modules.encoder import Encoder
from asr.registry import build

FEATURES = {
    "filterbank": features.FilterBank,
    "kaldi_fbank": features.KaldiFilterBank,
    "kaldi_mfcc": features.KaldiMFCC,
    "mfcc": features.MFCC,
    "precomputed": features.Precomputed,
}
ENCODERS = {"rnn": Encoder}
AUGMENTATIONS = {"specaugment": SpecAugment, "warp": SpectrogramWarp}


def front(config: Mapping[str, Any]) -> dict[str, Any]:
    """Modules of the groups ``features``, ``augmentation`` (a list) and ``encoder`` of a configuration."""
    extractor = build(FEATURES, config["features"], "features")
    return {
        "features": extractor,
        "encoder": build(ENCODERS, config["encoder"], "encoder", input_size=extractor.dim),
        "augmentation": [
            build(AUGMENTATIONS, options, f"augmentation.{name}")
            for name, options in (config.get("augmentation") or {}).items()
            if options
        ],
    }
