"""asr: train, evaluate and run speech and sequence recognisers.

>>> import asr
>>> recognizer = asr.load("models/digits")
>>> print(recognizer.transcribe("speech.wav").text)

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.recognizer import Recognizer, load
    from asr.transcript import Transcript, Word

__version__ = "0.1.0"

_LAZY = {
    "Recognizer": "asr.recognizer",
    "load": "asr.recognizer",
    "Transcript": "asr.transcript",
    "Word": "asr.transcript",
}
__all__ = ["Recognizer", "Transcript", "Word", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
