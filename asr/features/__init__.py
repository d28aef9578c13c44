"""Waveform → features, as modules that live inside the model: filter bank, MFCC, precomputed features.

Every extractor maps ``(inputs, lengths)`` to ``(features (N, T, F) float32, lengths (N,) int64)``; see
:class:`~asr.features.extractor.Extractor` for what they share.
"""

from asr.features.cmvn import FeatureNormalizer
from asr.features.extractor import Extractor
from asr.features.filterbank import FilterBank
from asr.features.mfcc import MFCC
from asr.features.precomputed import Precomputed, read_kaldi, read_sphinx

__all__ = [
    "MFCC",
    "Extractor",
    "FeatureNormalizer",
    "FilterBank",
    "Precomputed",
    "read_kaldi",
    "read_sphinx",
]
