"""Files and folders that may not be read: the message says so, and names them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from asr.cli._inputs import find_inputs
from asr.errors import InputError
from asr.models import info, store
from asr.models.directory import find
from asr.modules import mobilenet
from asr.tasks.ctc import CTCTask


def test_what_may_not_be_read(tone_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    shutil.copytree(tone_run / "model", model)
    weights = model / "weights.safetensors"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != weights)  # permissions do not bind the superuser
    for use in (lambda: store.load(model, CTCTask), lambda: info.read(model), lambda: mobilenet._read(weights)):
        with pytest.raises(InputError, match=r"weights.safetensors: no permission to read it$"):
            use()
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.X_OK == 0)  # folders
    with pytest.raises(InputError, match=r"model: no permission to read it$"):
        find(model)
    with pytest.raises(InputError, match=r"model: no permission to read it$"):
        find_inputs([str(model)], {".wav"})
