"""Features of waveforms, as modules that are part of the model: filter bank, MFCC, Kaldi's, precomputed ones.

Every extractor maps ``(inputs, lengths)`` to ``(features (N, T, F) float32, lengths (N,) int64)``; see
:class:`~asr.features.extractor.Extractor` for what they share.
"""

from asr.features.cmvn import FeatureNormalizer
from asr.features.extractor import Extractor
from asr.features.filterbank import FilterBank
from asr.features.kaldi import KaldiFilterBank, KaldiMFCC
from asr.features.mfcc import MFCC
from asr.features.precomputed import Precomputed, read_kaldi, read_sphinx

__all__ = [
    "MFCC",
    "Extractor",
    "FeatureNormalizer",
    "FilterBank",
    "KaldiFilterBank",
    "KaldiMFCC",
    "Precomputed",
    "read_kaldi",
    "read_sphinx",
]
