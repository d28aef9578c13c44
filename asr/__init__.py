"""asr: train, evaluate and run speech and sequence recognisers.

>>> import asr
>>> recognizer = asr.load("models/digits")
>>> print(recognizer.transcribe("speech.wav").text)

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asr._version import __version__

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer, load
    from asr.output.transcript import Transcript, Word

_LAZY = {
    "Recognizer": "asr.inference.recognizer",
    "load": "asr.inference.recognizer",
    "Transcript": "asr.output.transcript",
    "Word": "asr.output.transcript",
}
__all__ = ["Recognizer", "Transcript", "Word", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
