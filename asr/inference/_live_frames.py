"""Output frames of a network for audio that is still arriving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from asr.features.extractor import REACH as DELTA_REACH
from asr.features.silence import MARGIN_SECONDS
from asr.inference.recognizer import Recognizer
from asr.inference.windows import Window
from asr.modules.cells import CellState
from asr.modules.convolution import Convolution
from asr.tasks.recognition import RecognitionTask

CONTEXT_SECONDS = 8.0  # before the frames that are asked for; a model that normalizes what it reads needs some speech


class LiveFrames(Protocol):
    """Output frames of a network for audio that is fed in pieces."""

    def feed(self, samples: np.ndarray) -> None:
        """Take in the next samples (S,) float32."""

    def read(self, begin: int, is_final: bool) -> np.ndarray:
        """Return the frames (T, D) from frame ``begin`` on; all of them, if the audio ends here."""

    def forget(self, frame: int) -> None:
        """Drop what only frames before this one need."""


class RereadFrames:
    """Frames of a network that looks ahead: each reading is of the last seconds of audio, and replaces those before.

    Args:
        model: the recognizer.
    """

    def __init__(self, model: Recognizer) -> None:
        self.model = model
        rate = model.sample_rate or 0
        self._unit = round(model.task.frame_seconds * rate)  # samples in a frame
        self._context = round(CONTEXT_SECONDS * rate / self._unit)  # frames
        self._first = 0  # frame at which the samples begin
        self._pieces: list[np.ndarray] = []

    def feed(self, samples: np.ndarray) -> None:
        """Take in the next samples (S,) float32."""
        self._pieces.append(samples)

    def read(self, begin: int, is_final: bool) -> np.ndarray:
        """Return the frames (T, D) from frame ``begin`` on, as they are heard now."""
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        self._pieces = [audio]
        if len(audio) <= (begin - self._first) * self._unit:
            return np.zeros((0, 0), np.float32)
        window = Window(0, torch.from_numpy(audio), begin - self._first)
        (frames,) = self.model.log_probs([window])
        return window.kept(frames)

    def forget(self, frame: int) -> None:
        """Drop what only frames before this one need."""
        first = max(self._first, frame - self._context)
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        self._pieces = [audio[(first - self._first) * self._unit :].copy()]
        self._first = first


class StreamedFrames:
    """Frames of a network that only looks forward: each is computed once, and the network keeps its state.

    Features and convolutions see some frames on both sides, for which the audio of these is read again. Frames without
    any signal are left out as in a whole recording (`RecognitionTask.silent_frames`); how loud the noise is, the last
    seconds tell. At the end of what has been fed, frames in silence wait until it is known whether speech follows.

    Args:
        model: the recognizer.
    """

    def __init__(self, model: Recognizer) -> None:
        self.model = model
        task: Any = model.task
        self._task: RecognitionTask = task
        rate = model.sample_rate or 0
        self._unit = round(task.frame_seconds * rate)  # samples in a frame
        self._audio = np.zeros(0, np.float32)
        self._pieces: list[np.ndarray] = []  # behind it
        self._first = 0  # frame at which the audio begins
        self._states: Sequence[CellState] | None = None
        self._frames = np.zeros((0, 0), np.float32)  # computed, from frame `_kept` on
        self._kept = self._done = 0
        self._margin = math.ceil(MARGIN_SECONDS / task.frame_seconds)
        self._context = math.ceil(CONTEXT_SECONDS / task.frame_seconds)
        self._reach = reach(task)

    def feed(self, samples: np.ndarray) -> None:
        """Take in the next samples (S,) float32."""
        self._pieces.append(samples)

    def read(self, begin: int, is_final: bool) -> np.ndarray:
        """Return the frames (T, D) from frame ``begin`` on."""
        self._audio = np.concatenate([self._audio, *self._pieces])
        self._pieces = []
        self._compute(is_final)
        keep = max(0, self._done - self._context)
        if keep > self._first:
            self._audio = self._audio[(keep - self._first) * self._unit :].copy()
            self._first = keep
        return self._frames[max(0, begin - self._kept) :]

    @torch.inference_mode()
    def _compute(self, is_final: bool) -> None:
        """Compute the frames that all that they depend on is there for."""
        if not len(self._audio):
            return
        task, device = self._task, self.model.device
        new = self._done - self._first  # the first frame to compute, in the audio
        skip = max(0, new - self._reach)
        inputs = torch.from_numpy(self._audio[skip * self._unit :])[None].to(device)
        if not inputs.shape[1]:
            return
        lengths = torch.tensor([inputs.shape[1]])
        x, counts = task.encoder.front(*task.features(inputs, lengths))
        total = int(counts[0]) + skip
        mask = np.zeros(total, bool)
        audio = torch.from_numpy(self._audio)[None].to(device)
        if (silent := task.silent_frames(audio, torch.tensor([len(self._audio)]))) is not None:
            found = silent[0, :total].cpu().numpy()
            mask[: len(found)] = found
        end = total if is_final else total - self._reach
        if not is_final and (late := np.flatnonzero(mask[max(new, total - self._margin) : end])).size:
            end = max(new, total - self._margin) + int(late[0])
        if end <= new:
            return
        spoken = ~mask[new:end]
        frames = task.silent_frame(self.model.head).cpu().numpy()[None].repeat(end - new, 0)
        if spoken.any():
            part = x[:, new - skip : end - skip][:, torch.from_numpy(spoken).to(device)]
            outputs, self._states = task.advance(part, self._states, self.model.head)
            frames[spoken] = outputs[0].cpu().numpy()
        self._frames = np.concatenate([self._frames, frames]) if len(self._frames) else frames
        self._done += end - new

    def forget(self, frame: int) -> None:
        """Drop what only frames before this one need."""
        drop = min(max(0, frame - self._kept), len(self._frames))
        self._frames = self._frames[drop:].copy()
        self._kept += drop


def reach(task: RecognitionTask) -> int:
    """Return how many frames on both sides the features and the front of an encoder see, or more."""
    front = task.encoder.front
    layers = len(front.layers) if isinstance(front, Convolution) else 0
    inputs = 2 * DELTA_REACH * bool(task.features.deltas) + (0 if isinstance(front, Convolution) else front.stack)
    return math.ceil(inputs / task.encoder.stride) + layers + 2


def make_frames(model: Recognizer) -> LiveFrames:
    """Return the frames of a model for audio that goes on."""
    task = model.task
    if isinstance(task, RecognitionTask) and not task.looks_ahead:
        return StreamedFrames(model)
    return RereadFrames(model)
