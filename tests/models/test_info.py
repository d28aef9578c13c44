"""Descriptions of model directories."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.errors import InputError
from asr.models import info, store
from asr.tasks.ctc import CTCTask


def test_description_of_a_recognizer(tone_run: Path, asr: Callable[..., Any]) -> None:
    description = info.read(tone_run)
    task = store.load(tone_run / "model", CTCTask)
    state = task.state_dict()
    assert description["weights"] == sum(value.numel() for value in state.values())
    assert description["vocabularies"] == {"text": {"kind": "characters", "size": len(task.vocabulary)}}
    assert description["name"] == "tiny" and description["figures"]["training"]["seed"] == 1
    outcome = asr("info", tone_run)
    lines = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    assert lines["model"].strip().startswith("tiny, speech recognizer (type ctc), made by asr ")
    assert lines["reads"].strip() == "audio"
    rate = description["figures"]["dev"]["train"]["text"]["wer"]
    assert f"wer {100 * rate:.2f} %" in lines["dev train text"]
    assert json.loads(asr("info", tone_run, "--json").out) == description


def test_missing_and_damaged_files(
    tone_run: Path, tmp_path: Path, asr: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no model of these names is
    asr("info", tmp_path / "none").check_refusal(r"no such model directory; a training writes one to RUN_DIR/model")
    recipe = r"train it first: asr train recipes/g2p/attention.yaml \(54 minutes on one core; README.md there\)$"
    asr("info", "runs/g2p/seed=1").check_refusal(recipe)
    asr("info", "runs/classify_fsdd/seed=1").check_refusal(
        r"asr train recipes/fsdd/classify.yaml \(3 minutes on one core"
    )
    asr("info", "runs/demo").check_refusal("train it first: make demo")
    asr("info", tmp_path).check_refusal("not a model directory")
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.yaml", "vocabulary.txt"):
        (model / name).write_bytes((tone_run / "model" / name).read_bytes())
    (model / "weights.safetensors").write_text("no weights")
    with pytest.raises(InputError, match=r"weights\.safetensors: cannot be read"):
        info.read(model)
    (model / "weights.safetensors").write_bytes((tone_run / "model" / "weights.safetensors").read_bytes())
    assert info.read(model)["figures"] == {}
    (model / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json: not JSON"):
        info.read(model)


@pytest.mark.parametrize("key", ["null", "3"])
def test_keys_that_are_no_names(key: str, tone_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tone_run / "model", tmp_path / "model")
    with (tmp_path / "model" / "config.yaml").open("a") as config:
        config.write(f"{key}: {{type: x}}\n")
    assert "type x" in info.render(info.read(tmp_path / "model"))
