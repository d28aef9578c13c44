"""Pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.errors import InputError
from asr.output import plots
from asr.output.plots.inside import free_rows
from asr.output.transcript import Word

WORDS = (Word("one", 0.1, 0.3, 0.9), Word("two", 0.4, 0.9, 0.0))
SOUND = plots.Sound(np.sin(np.arange(8000, dtype=np.float32)), 8000, WORDS)
PROBS = np.array([[0.9, 0.1], [0.2, 0.8], [1.0, 0.0]])
GATES = {name: np.random.default_rng(0).random((5, 4)) for name in ("input gate", "forget gate", "cell", "output")}


DRAWN: dict[str, Callable[[Path], None]] = {
    "spikes": lambda path: plots.plot_spikes(path, SOUND, PROBS, ["blank", "ah"], 0),
    "spikes-of-nothing": lambda path: plots.plot_spikes(
        path, plots.Sound(np.zeros(0, dtype=np.float32), 8000), PROBS[:0], ["blank", "ah"], 0
    ),
    "features": lambda path: plots.plot_spikes(path, plots.Sound(np.ones((50, 3)), 100), PROBS, ["blank", "ah"], 0),
    "lattice": lambda path: plots.plot_lattice(path, SOUND, PROBS, ["ah", "b"], [0, 2]),
    "empty-lattice": lambda path: plots.plot_lattice(path, SOUND, PROBS[:, :0], [], []),
    "sensitivity": lambda path: plots.plot_sensitivity(path, SOUND, PROBS, "ah", 0.5),
    "gates": lambda path: plots.plot_gates(path, SOUND, GATES, "layer 1"),
    "no-gates": lambda path: plots.plot_gates(path, SOUND, {"output": GATES["output"]}, "layer 1"),
    "step-gradients": lambda path: plots.plot_step_gradients(
        path, SOUND, {"layer 1, forward": np.ones(5), "layer 1, backward": np.zeros(5)}
    ),
    "curves": lambda path: plots.plot_curves(
        path, {"a": {"train loss": ([1, 2], [2, 1]), "loss": ([1, 2], [2, 1])}, "b": {"WER": ([1], [0.5])}}
    ),
    "confusion": lambda path: plots.plot_confusion(path, np.eye(3, dtype=int), ["ah", "b"], "PER 0 %"),
    "gradient-flow": lambda path: plots.plot_gradient_flow(path, {"tanh": np.ones((2, 5)) * 1e-30}, "new"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    DRAWN[name](tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.svg"]


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        DRAWN["spikes"](tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("name", ["picture", "picture.jpg", "png"])
def test_names_of_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.png, \.svg or \.pdf"):
        plots.check_picture(tmp_path / name)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    def find(name: str) -> Any:
        return None

    monkeypatch.setattr(util, "find_spec", find)
    with pytest.raises(InputError, match=r"need matplotlib and librosa: pip install 'asr-recurrent\[plot\]'"):
        plots.check_picture("a.png")


def test_texts_that_would_overlap_are_in_different_rows() -> None:
    assert free_rows([0.0, 0.01, 0.02, 0.5], [2, 2, 2, 2], 1.0) == [0, 1, 2, 0]
    assert free_rows([0.0, 0.01, 0.02, 0.03], [1, 1, 1, 1], 1.0)[3] == 0
