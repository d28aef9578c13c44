"""torchaudio where its compiled part does not load."""

from __future__ import annotations

import logging
import sys

import pytest
import torch

from asr.utils.torchaudio import import_torchaudio


def test_plain_torch_functions_work() -> None:
    mel = import_torchaudio().transforms.MelSpectrogram(16000, n_fft=512, n_mels=40)
    assert mel(torch.zeros(1, 16000)).shape == (1, 40, 63)


def test_compiled_part_that_does_not_load(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)

    def broken(path: str) -> None:
        raise OSError(f"Could not load this library: {path}")

    monkeypatch.setattr(torch.ops, "load_library", broken)
    with caplog.at_level(logging.DEBUG, logger="asr.utils.torchaudio"):
        torchaudio = import_torchaudio()
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "Could not load" in caplog.text
    assert torchaudio.functional.resample(torch.zeros(1, 100), 2, 1).shape == (1, 50)
    with pytest.raises(RuntimeError, match="compiled part"):
        torchaudio.functional.forced_align(None, None)


def test_other_failures_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(ImportError):
        import_torchaudio()
