"""Former names of settings in configurations and model directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.models.aliases import present_name, rename_settings
from asr.models.directory import read_config

FORMER: dict[str, Any] = {
    "task": {"type": "seq2seq", "smoothing": 0.1, "heads": {"text": {"kind": "characters", "edges": True}}},
    "data": {
        "train": {"rows": "rows.txt"},
        "rows": 32,
        "steps": 16,
        "pieces": "line",
        "perturbation": {"rooms": "r", "silence": 1.0, "band": [3, 4]},
    },
    "decoder": {"behind": 10.0, "least": 0.1},
    "trainer": {"minutes": 5, "accumulate": 2},
}
PRESENT: dict[str, Any] = {
    "task": {
        "type": "seq2seq",
        "label_smoothing": 0.1,
        "heads": {"text": {"kind": "characters", "boundary_spaces": True}},
    },
    "data": {
        "train": {"rows": "rows.txt"},
        "batch_size": 32,
        "bptt": 16,
        "eos_after": "line",
        "perturbation": {"impulse_responses": "r", "silence_seconds": 1.0, "high_cut": [3, 4]},
    },
    "decoder": {"beam_threshold": 10.0, "min_label_prob": 0.1},
    "trainer": {"max_minutes": 5, "accumulate_batches": 2},
}


def test_former_names_in_a_configuration_are_read_as_the_present_ones() -> None:
    assert rename_settings(FORMER) == PRESENT
    assert rename_settings(PRESENT) == PRESENT


def test_former_names_in_a_model_directory_are_read_as_the_present_ones(tmp_path: Path) -> None:
    groups = {"encoder": {"type": "rnn"}, "label_rnn": {"type": "label_rnn"}, "search": {"type": "beam"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**FORMER, **groups, "training": FORMER}))
    assert read_config(tmp_path) == {**PRESENT, **groups, "training": PRESENT}


def test_a_former_name_in_a_recipe_counts_more_than_the_default_of_the_present_one() -> None:
    config = {"data": {"rows": 32, "batch_size": 64}}
    assert rename_settings(config) == {"data": {"batch_size": 32}}


def test_a_present_name_on_the_command_line_counts_more_than_a_former_one_in_a_recipe() -> None:
    config = {"data": {"rows": 32, "batch_size": 16}}
    assert rename_settings(config, {"data.batch_size"}) == {"data": {"batch_size": 16}}


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("data.rows", "data.batch_size"),
        ("task.heads.letters.edges", "task.heads.letters.boundary_spaces"),
        ("encoder.rows", "encoder.rows"),
        ("seed", "seed"),
    ],
)
def test_a_setting_has_a_present_name(former: str, present: str) -> None:
    assert present_name(former) == present


def test_the_former_gru() -> None:
    """Before there was the setting ``init``, the cell gru was what gru_reset_after is now."""
    former = {"encoder": {"cell": "gru"}, "label_rnn": {"cell": "gru"}, "training": {"encoder": {"cell": "gru"}}}
    renamed = rename_settings(former)
    assert {renamed[group]["cell"] for group in ("encoder", "label_rnn")} == {"gru_reset_after"}
    assert renamed["training"]["encoder"]["cell"] == "gru_reset_after"
    present = {"encoder": {"cell": "gru", "init": "default"}, "label_rnn": {"cell": "lstm"}}
    assert rename_settings(present) == present
