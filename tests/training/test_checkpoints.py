"""Checkpoints are written beside their place and renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.training.checkpoints import AtomicCheckpointIO


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, path = AtomicCheckpointIO(), tmp_path / "new" / "last.ckpt"
    writer.save_checkpoint({"epoch": 1}, path)
    (path.parent / ".last.ckpt.tmp").write_bytes(b"of a process that was killed")
    writer.save_checkpoint({"epoch": 2}, path)
    assert os.listdir(path.parent) == ["last.ckpt"]

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        writer.save_checkpoint({"epoch": 3}, path)
    assert error.value.filename == str(path)
    assert os.listdir(path.parent) == ["last.ckpt"] and torch.load(path) == {"epoch": 2}


def test_training_writes_nothing_to_the_folder_for_temporary_files(
    tmp_path: Path, tone_run: Path, tiny_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr.training.run import train

    monkeypatch.setattr("tempfile.tempdir", "/dev/null/none")
    train(tiny_config(tmp_path / "run", tone_run / "corpus" / "train.jsonl", **{"trainer.epochs": 1}))
    assert sorted(os.listdir(tmp_path / "run" / "checkpoints")) == ["best.ckpt", "last.ckpt"]
