"""The check of a training's settings before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.errors import InputError
from asr.training.schema import check_settings

Config = Callable[..., dict[str, Any]]


@pytest.fixture
def config(tiny_config: Config) -> dict[str, Any]:
    return tiny_config(Path("run"), Path("train.jsonl"))


def test_settings_that_fit(config: dict[str, Any]) -> None:
    check_settings(config)
    config["data"]["train"] = {"one": "one.jsonl", "two": "two.jsonl"}
    config["data"]["perturbation"] = {"speed": [0.9, 1], "snr": [5, 30]}
    config["optimizer"]["schedule"] = None
    config["trainer"] |= {"devices": [0, 1], "precision": 32, "max_minutes": 0.5}
    check_settings(config)


def test_options_of_another_kind_of_head_are_accepted_at_their_defaults(config: dict[str, Any]) -> None:
    """A recipe that chooses another kind of vocabulary leaves the options of the group's own kind in place."""
    head = {"kind": "phones", "phones": ["aa", "b"], "alphabet": None, "boundary_spaces": False, "weight": 0.5}
    config["task"]["heads"] = {"phones": head}
    check_settings(config)
    head["boundary_spaces"] = True
    with pytest.raises(InputError, match=r"^task\.heads\.phones has no option boundary_spaces; it has kind, "):
        check_settings(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"^seed=-1: expected a whole number of at least 0$"),
        ({"seed": True}, r"^seed=True: expected a whole number"),
        ({"trainer.threads": 0}, r"^trainer\.threads=0: expected a whole number of at least 1 or null$"),
        ({"trainer.gradient_clip": "no"}, r"^trainer\.gradient_clip='no': expected a number of at least 0 or null$"),
        ({"trainer.monitor": None}, r"^trainer\.monitor=None: expected a string$"),
        ({"data.cache_hours": None}, r"^data\.cache_hours=None: expected a number of at least 0$"),
        ({"data.train": 3}, r"^data\.train=3: expected a path, a list of paths, a mapping or null$"),
        ({"data.rows": 3}, r"^data has no option rows; it has train, dev, test, seconds,"),
        ({"data.perturbation": {"snr": [5]}}, r"^data\.perturbation\.snr=\[5\]: expected a list of 2 numbers$"),
        ({"optimizer.lr": "fast"}, r"^optimizer\.lr='fast': expected a number$"),
        ({"optimizer.schedule": {"type": "plateau", "pct": 0.1}}, r"^optimizer\.schedule: plateau has no option pct"),
        ({"encoder": None}, r"^the configuration has no group encoder$"),
        ({"decoder": None}, r"^the configuration has no group decoder$"),
        ({"task": {"type": "ctc", "heads": {"text": 3}}}, r"^task\.heads\.text=3: expected a mapping of options$"),
        ({"task": {"type": "ctx", "heads": {}}}, r"^task: type='ctx' is not one of ctc, .*\(did you mean ctc\?\)$"),
    ],
)
def test_settings_that_do_not_fit(tiny_config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_settings(tiny_config(Path("run"), Path("train.jsonl"), **changes))


def test_only_heads_of_recognizers_have_a_weight(config: dict[str, Any]) -> None:
    config["task"] = {"type": "language", "heads": {"text": {"kind": "characters", "weight": 0.5}}}
    config["label_rnn"] = {"type": "label_rnn"}
    config["data"] = {"train": "a.txt", "dev": "b.txt", "eos_after": "file", "batch_size": 4, "bptt": 8}
    with pytest.raises(InputError, match=r"^task\.heads\.text has no option weight; it has kind, normalization,"):
        check_settings(config)
