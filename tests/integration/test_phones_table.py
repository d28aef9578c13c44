"""recipes/phones/table.py: the rows that it trains, the table, and the claims of the paper, with made-up errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.numpy import save_file
from scripts import import_script

from asr.cli._overrides import hydra_overrides
from asr.utils import resources

SCRIPT = resources.folder("recipes") / "phones" / "table.py"
SPEAKERS = [f"s{n}" for n in range(12)]
table = import_script(SCRIPT)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("row", [*table.ROWS, *table.CELLS], ids=lambda row: row.name)
def test_rows_are_trained_into_their_folders(row: Any) -> None:
    _, recipe, *overrides = row.command(7)
    search = f"hydra.searchpath=[file://{resources.folder('configs')}]"
    with initialize_config_dir(str(Path(recipe).parent), version_base="1.3"):
        config = compose(Path(recipe).stem, overrides=[search, *hydra_overrides(overrides)])
    assert config.run_dir == str(row.run_dir(7))
    if row.corpus:
        assert "${corpus}" in OmegaConf.to_yaml(config)  # without a use of it, `asr train` refuses it as unknown
    if config.init is not None:
        starts = [config.init] if isinstance(config.init, str) else list(config.init.values())
        before = [str(r.run_dir(7)) for r in table.ROWS[: table.ROWS.index(row)]]
        assert set(starts) <= set(before)


def finished(name: str, errors: list[int], seed: int = 1, dev: float = 0.5) -> None:
    """Write what a trained row leaves: 20 phones by each speaker, ``errors`` of them substituted."""
    row = next(row for row in (*table.ROWS, *table.CELLS) if row.name == name)
    model = row.run_dir(seed) / "model"
    model.mkdir(parents=True)
    save_file({"w": np.zeros((123, 1000), np.float32)}, model / "weights.safetensors")
    (model / "config.yaml").write_text("task: {type: ctc, heads: {phones: {}}}\nfeatures: {}\nencoder: {}\n")
    heads = {"phones": {"per": 0.9}, "phones, beam": {"per": dev}}
    figures = {"training": {"epochs": 5, "minutes": 17.4}, "dev": {"dev": heads}}
    (model / "metrics.json").write_text(json.dumps(figures))
    lines = [
        {"id": f"{s}-1", "speaker": s, "phones": {"hits": 20 - n, "substitutions": n, "deletions": 0, "insertions": 0}}
        for s, n in zip(SPEAKERS, errors, strict=True)
    ]
    (row.run_dir(seed) / table.DETAILS).write_text("".join(json.dumps(line) + "\n" for line in lines))


def cells(lines: Any, first: str) -> list[str]:
    (line,) = (line for line in lines if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_that_are_not_trained_are_not_run() -> None:
    lines = list(table.table(table.ROWS, [1]))
    assert len(lines) == 2 + len(table.ROWS) - 1  # the predictor of the next phone has no phone error rate
    assert cells(lines, "ctc-3l-250h")[1:] == ["not run", "", "", "", "", "124", "18.6"]
    assert all(cells(table.verdicts([1]), claim)[4] == "not run" for claim, *_ in table.CLAIMS)


def test_a_row_with_one_seed_and_with_three() -> None:
    finished("ctc-3l-250h", [5] * 12, dev=0.2)
    assert cells(table.table(table.ROWS, [1, 2, 3]), "ctc-3l-250h")[1:6] == ["0.12 M", "5", "17", "20.0", "25.0"]
    finished("ctc-3l-250h", [6] * 12, seed=2, dev=0.3)
    finished("ctc-3l-250h", [7] * 12, seed=3, dev=0.4)
    row = cells(table.table(table.ROWS, [1, 2, 3]), "ctc-3l-250h")
    assert row[2:6] == ["5 5 5", "17 17 17", "30.0 ± 10.0", "30.0 ± 5.0"]


def test_the_table_of_cells_has_no_figures_of_the_paper() -> None:
    assert cells(table.table(table.CELLS, [1]), "cells-gru")[1:] == ["not run", "", "", "", ""]


def test_verdicts() -> None:
    finished("ctc-3l-250h", [5, 6, 5, 4] * 3)
    finished("ctc-3l-500h-tanh", [9, 10, 9, 10] * 3)  # worse for every speaker
    finished("ctc-1l-250h", [5, 6, 4, 5] * 3)  # better for some speakers, worse for others
    finished("trans-3l-250h", [8, 9, 8, 9] * 3)
    lines = list(table.verdicts([1]))
    tanh = cells(lines, "LSTM cells are better than tanh units")
    assert tanh[1:3] == ["ctc-3l-250h, ctc-3l-500h-tanh", "-22.5"] and tanh[4:] == ["holds", "-19.0"]
    assert cells(lines, "more layers help")[4:] == ["undecided", "-5.3"]
    assert cells(lines, "a transducer is better than CTC")[4:] == ["fails", "-0.3"]
    assert cells(lines, "weight noise helps")[4:] == ["not run", ""]


def test_cells_beside_lstm() -> None:
    finished("cells-lstm", [5, 6, 5, 4] * 3)
    finished("cells-tanh", [9, 10, 9, 10] * 3)
    finished("cells-gru", [4, 6, 5, 5] * 3)
    header, rule, *lines = table.beside_lstm([1])
    assert header.count("|") == rule.count("|") == 4 and len(lines) == 2
    difference, interval = cells(lines, "cells-tanh")[1:]
    assert difference == "+22.5" and all(float(end) > 0 for end in interval.split(" to "))
    difference, interval = cells(lines, "cells-gru")[1:]
    assert difference == "+0.0" and interval.startswith("-") and "to +" in interval


def test_only_seeds_of_both_rows_count() -> None:
    finished("ctc-3l-250h", [5, 6] * 6)
    finished("ctc-3l-250h", [19, 20] * 6, seed=2)
    finished("ctc-3l-500h-tanh", [9, 10] * 6)
    assert cells(table.verdicts([1, 2]), "LSTM cells are better than tanh units")[2] == "-20.0"


def test_training_skips_what_is_finished_and_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    finished("ctc-3l-250h", [5] * 12)
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, int("ctc-1l-250h" in " ".join(command)))

    monkeypatch.setattr(subprocess, "run", run)
    rows = [row for row in table.ROWS if row.name in ("ctc-3l-250h", "ctc-1l-250h", "next-phone", "ctc-3l-250h-noise")]
    assert table.train(rows, [1], ["trainer.threads=2"]) == 1

    assert [command[0] for command in commands] == ["train", "train", "train", "evaluate"]
    noise = commands[2]
    assert noise[1].endswith("ctc-3l-250h.yaml") and "name=${corpus}-ctc-3l-250h-noise" in noise
    assert "trainer.weight_noise=0.075" in noise and noise[-1] == "trainer.threads=2"


def test_a_signal_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 143))
    assert table.train(table.ROWS, [1], []) == 143


def test_an_unknown_row_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["table.py", "--rows", "ctc-9l"])
    with pytest.raises(SystemExit) as exit_:
        table.main()
    assert exit_.value.code == 2 and "no row ctc-9l; there are ctc-3l-250h" in capsys.readouterr().err
