"""Scores as other toolkits give them: any array type, kind and width, control symbols among the labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from asr.decoding.ctc._scores import checked_log_probs
from asr.errors import InputError
from asr.text.alphabet import Alphabet
from asr.utils.options import is_number


def check_frame_seconds(seconds: object) -> None:
    """Raise InputError unless the time from one frame to the next is None, or a number of seconds above 0."""
    if seconds is not None and not (is_number(seconds) and 0 < seconds < np.inf):
        raise InputError(f"frame_seconds={seconds!r}: use a number of seconds above 0")


def to_array(scores: Any) -> np.ndarray:
    """Return an array, tensor or list of numbers as floats; half precision as float32."""
    if hasattr(scores, "detach"):  # a tensor, of any device and type
        scores = scores.detach().cpu()
        scores = scores.float() if scores.element_size() < 4 else scores
    try:
        array = np.asarray(scores)
        if np.iscomplexobj(array):
            raise TypeError("complex numbers")
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"scores are not an array of numbers: {error}") from error
    return array


def to_log_probs(array: np.ndarray, alphabet: Alphabet, kind: str, first_frame: int = 0) -> np.ndarray:
    """Return natural-log probabilities (T, V) in which control symbols are blank.

    Args:
        array: (T, V) scores. Control symbols may be missing at the end: tokenizers can have more of them than networks.
        alphabet: the labels.
        kind: "log_probs", "probs" or "logits".
        first_frame: number of the first frame, for error messages.

    Raises:
        InputError: another shape or kind of scores.
    """
    labels, blank, hidden = len(alphabet.labels), alphabet.blank, list(alphabet.hidden)
    if array.ndim != 2:
        hint = "; decode_batch takes (utterances, frames, labels)" if array.ndim == 3 else ""
        raise InputError(f"scores have the shape {array.shape}: use (frames, {labels}){hint}")
    width = array.shape[1]
    if not (width <= labels and all(label in hidden for label in range(width, labels))):
        implied = " (blank, which has no label of a usual name, is taken to be the last: name it with blank=…)"
        raise InputError(
            f"scores have the shape {array.shape}: use (frames, {labels}), as there are {labels} labels"
            + (implied if width == labels - 1 == blank else "")
        )
    array = checked_log_probs(array, kind, first_frame)
    if not hidden:
        return array
    log_probs = np.full((len(array), labels), -np.inf, dtype=array.dtype)
    log_probs[:, :width] = array
    log_probs[:, blank] = np.logaddexp.reduce(log_probs[:, [blank, *hidden]], axis=1)
    log_probs[:, hidden] = -np.inf
    return log_probs
