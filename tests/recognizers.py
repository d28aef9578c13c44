"""Recognizers for tests: one without context, and comparisons of what they return."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr.features import FilterBank
from asr.inference import windows
from asr.inference.recognizer import Recognizer
from asr.modules.frame_stacking import FrameStacking
from asr.output.transcript import Transcript
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

RATE = 8000


class FrameLocal(nn.Module):
    """An encoder whose frames see nothing of each other, so that windows make no difference at all."""

    init = "default"

    def __init__(self, input_size: int, stack: int, stride: int) -> None:
        super().__init__()
        self.stacking = FrameStacking(stack, stride)
        self.stride = stride
        self.output_size = input_size * stack

    def output_lengths(self, lengths: Tensor) -> Tensor:
        return self.stacking.output_lengths(lengths)

    def forward(self, x: Tensor, lengths: Tensor, between: Any = None) -> tuple[Tensor, Tensor]:
        y: tuple[Tensor, Tensor] = self.stacking(x, lengths)
        return y


def frame_local(stack: int = 1, stride: int = 1, features: Any = None) -> Recognizer:
    torch.manual_seed(0)
    front = features or FilterBank(RATE, num_mels=8, energy=False, deltas=0, normalization="none")
    encoder: Any = FrameLocal(front.dim, stack, stride)
    task = CTCTask(front, encoder, {"text": Vocabulary.characters(" abc")})
    nn.init.normal_(task.heads["text"].get_parameter("weight"), std=3.0)
    return Recognizer(task)


def with_windows(patch: pytest.MonkeyPatch, longest: float, context: float) -> None:
    patch.setattr(windows, "MIN_CORE_SECONDS", longest / 2)
    patch.setattr(windows, "MAX_CORE_SECONDS", longest)
    patch.setattr(windows, "CONTEXT_SECONDS", context)


def assert_same(found: Transcript, expected: Transcript) -> None:
    assert found.text == expected.text
    assert [(w.text, w.start, w.end) for w in found.words] == [(w.text, w.start, w.end) for w in expected.words]
    assert found.duration == expected.duration
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-4)
