"""Recipes that generate their data: recipes/tagging, recipes/sentiment, recipes/forecast and recipes/memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from scripts import import_script

from asr.data import pairs
from asr.inference.generator import Generator
from asr.models import store
from asr.modules.label_rnn import LabelRNN
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS, Vocabulary
from asr.utils import resources

RECIPES = resources.folder("recipes")
SPLITS = ("train", "dev", "test")
memory = import_script(RECIPES / "memory" / "memory.py")


def make(recipe: str, folder: Path) -> str:
    command = [sys.executable, str(RECIPES / recipe / "make.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def composed(folder: str, name: str, *overrides: str) -> dict[str, Any]:
    search = f"hydra.searchpath=[file://{resources.folder('configs')}]"
    with initialize_config_dir(str(RECIPES / folder), version_base="1.3"):
        return OmegaConf.to_container(compose(name, overrides=[search, *overrides]), resolve=True)  # type: ignore


@pytest.fixture
def forecast(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of recipes/forecast, which is no package."""
    monkeypatch.syspath_prepend(str(RECIPES / "forecast"))
    import score  # type: ignore[import-not-found]

    yield score
    for name in ("score", "make"):
        sys.modules.pop(name, None)


def test_every_word_has_a_tag(tmp_path: Path) -> None:
    printed = make("tagging", tmp_path)
    splits = [pairs.read(tmp_path / f"{split}.tsv") for split in SPLITS]
    assert [len(texts) for texts in splits] == [6000, 500, 1000]
    assert len(set().union(*splits)) == 7500
    assert all(len(text.split()) == len(tags[0].split()) for texts in splits for text, tags in texts.items())
    assert "is wrong for 30.0 %" in printed  # far from what a network that sees the sentence gets wrong


def test_reviews_of_both_classes(tmp_path: Path) -> None:
    printed = make("sentiment", tmp_path)
    splits = [pairs.read(tmp_path / f"{split}.tsv") for split in SPLITS]
    assert len(set().union(*splits)) == 7500
    test = splits[2]
    assert 400 < sum(labels == ["positive"] for labels in test.values()) < 600
    assert "a count of words is wrong about 39.4 %" in printed


def test_the_series_is_that_of_mackey_and_glass(tmp_path: Path, forecast: Any) -> None:
    make("forecast", tmp_path)
    texts = [(tmp_path / f"{split}.txt").read_text().strip() for split in SPLITS]
    assert [len(text) for text in texts] == [20000, 2000, 4000]
    values = forecast.read(tmp_path / "train.txt")
    # mean and deviation of the series as published: about 0.93 and 0.22
    assert abs(values.mean() - 0.93) < 0.02 and abs(values.std() - 0.22) < 0.02
    lags = np.array([np.corrcoef(values[:-lag], values[lag:])[0, 1] for lag in range(1, 60)])
    assert lags[:7].min() < -0.5 and lags.max() < 0.99  # it swings, with a period of about 50, and never repeats


def test_forecasts_beside_simple_ones(
    tmp_path: Path, forecast: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A line of steps: the straight line and least squares are right, the value before is a step behind."""
    from make import LETTERS  # type: ignore[import-not-found]

    text = (LETTERS[10:40] + LETTERS[40:10:-1]) * 4
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(text + "\n")
    torch.manual_seed(1)
    vocabulary = Vocabulary.characters(LETTERS, specials=(EOS,))
    task = LanguageTask({"text": vocabulary}, LabelRNN(len(vocabulary), embedding_size=4, hidden_size=8))
    monkeypatch.setattr(Generator, "load", lambda model: Generator(task))
    forecast.main("model", tmp_path)
    errors = {
        line.split("|")[1].strip(): float(line.split("|")[2]) for line in capsys.readouterr().out.splitlines()[2:]
    }
    step = 1.2 / 64
    assert errors["value before"] == pytest.approx(step, rel=0.05)
    assert errors["straight line"] < 0.1 * step and errors["model"] > step


def test_letters_to_remember(tmp_path: Path) -> None:
    memory.make(tmp_path / "a", longest=100)
    memory.make(tmp_path / "b", longest=100)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(["train.tsv", "dev.tsv", *(f"test-{distance}.tsv" for distance in memory.DISTANCES)])
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    texts = {name: pairs.read(tmp_path / "a" / name) for name in files}
    assert len(set().union(*texts.values())) == sum(map(len, texts.values())) == 3000 + 200 + 6 * 250
    for sources in texts.values():
        assert all([source[0]] == targets and set(source[1:]) <= set("01") for source, targets in sources.items())
        assert {targets[0] for targets in sources.values()} == set("abcdefgh")
    for distance in memory.DISTANCES:
        assert {len(source) - 1 for source in texts[f"test-{distance}.tsv"]} == {distance}
    trained = np.array([len(source) - 1 for source in texts["train.tsv"]])
    assert trained.min() == 1 and trained.max() == 100 and np.median(trained) < 25  # short ones more often


def test_table_of_what_cells_remember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that write "b" whatever they read are wrong where the letter was another one; a state overflows."""
    monkeypatch.setattr(memory, "SIZES", {"train": 20, "dev": 10, "test": 40})
    monkeypatch.setattr(memory, "DISTANCES", (10, 30))
    memory.make(tmp_path / "data", longest=5)
    source = Vocabulary.characters(memory.LETTERS + memory.BITS, specials=())
    target = Vocabulary.characters(memory.LETTERS, specials=(EOS,))
    for cell, bias in (("tanh", None), ("relu", None), ("lstm", 3.0)):
        overrides = [f"encoder.cell={cell}", f"encoder.forget_bias={'null' if bias is None else bias}"]
        config = composed("memory", "recall", *overrides, "search.max_length=1")
        task = store.make_task(config, {"target": target, "source": source})
        network: Any = task.network
        with torch.no_grad():
            network.output.weight.zero_()
            network.output.bias.zero_()[target.tokens.index("b")] = 9.0
            if cell == "relu":
                recurrent: Any = task.encoder
                recurrent.rnn.forwards[0].weight_hh_l0.copy_(100 * torch.eye(64))  # a factor of 100 each step
        store.save(task, tmp_path / config["run_dir"] / "model", config)
    lines = memory.table(tmp_path / "runs", tmp_path / "data").splitlines()
    wrong = [
        100 * sum(targets != ["b"] for targets in pairs.read(tmp_path / "data" / f"test-{distance}.tsv").values()) / 40
        for distance in (10, 30)
    ]
    assert lines[0] == "| cell | 10 steps | 30 steps |" and 50 < min(wrong) < 100
    assert lines[2:] == [
        f"| lstm, forget bias 3 | {wrong[0]:.1f} | {wrong[1]:.1f} |",
        f"| relu | {wrong[0]:.1f} | overflow |",
        f"| tanh | {wrong[0]:.1f} | {wrong[1]:.1f} |",
    ]
