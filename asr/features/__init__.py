"""Waveform → features, as modules that live inside the model: filter bank, MFCC, precomputed features.

Every extractor maps ``(inputs, lengths)`` to ``(features (N, T, F) float32, lengths (N,) int64)``; see
:class:`~asr.features.extractor.Extractor` for what they share.
"""

from asr.features.cmvn import Normalization
from asr.features.extractor import Extractor
from asr.features.filterbank import FilterBank
from asr.features.mfcc import MFCC
from asr.features.precomputed import Precomputed, read_kaldi, read_sphinx
from asr.modules.frame_stacking import FrameStacking

__all__ = [
    "MFCC",
    "Extractor",
    "FilterBank",
    "FrameStacking",
    "Normalization",
    "Precomputed",
    "read_kaldi",
    "read_sphinx",
]
