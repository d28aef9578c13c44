"""asr: train, evaluate and run speech and sequence recognizers.

>>> import asr
>>> recognizer = asr.load("models/digits")
>>> print(recognizer.transcribe("speech.wav").text)

`load` opens a model of any system and returns its runner. `Decoder` and `align` work on the scores of any CTC network,
`error_rate` on texts. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from asr._version import __version__

# oneDNN, which runs torch's layers on a CPU, keeps the kernels of the last 1024 shapes: 200 MB where each batch is of
# another length. It reads this at its first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

if TYPE_CHECKING:
    from asr.inference.captioner import Captioner
    from asr.inference.classifier import Classifier
    from asr.inference.ctc_scores.alignment import align
    from asr.inference.ctc_scores.decoder import Decoder, DecoderStream, Decoding
    from asr.inference.generator import Generator
    from asr.inference.live import Committed, Live, Partial
    from asr.inference.load import load
    from asr.inference.pronouncer import Pronouncer
    from asr.inference.recognizer import Recognizer
    from asr.metrics.error_rate import error_rate
    from asr.output.transcript import Transcript, Word

_LAZY = {
    "Captioner": "asr.inference.captioner",
    "Classifier": "asr.inference.classifier",
    "Committed": "asr.inference.live",
    "Decoder": "asr.inference.ctc_scores.decoder",
    "DecoderStream": "asr.inference.ctc_scores.decoder",
    "Decoding": "asr.inference.ctc_scores.decoder",
    "Generator": "asr.inference.generator",
    "Live": "asr.inference.live",
    "Partial": "asr.inference.live",
    "Pronouncer": "asr.inference.pronouncer",
    "Recognizer": "asr.inference.recognizer",
    "Transcript": "asr.output.transcript",
    "Word": "asr.output.transcript",
    "align": "asr.inference.ctc_scores.alignment",
    "error_rate": "asr.metrics.error_rate",
    "load": "asr.inference.load",
}
__all__ = [
    "Captioner",
    "Classifier",
    "Committed",
    "Decoder",
    "DecoderStream",
    "Decoding",
    "Generator",
    "Live",
    "Partial",
    "Pronouncer",
    "Recognizer",
    "Transcript",
    "Word",
    "__version__",
    "align",
    "error_rate",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
