"""Model directories with mutated files are loaded and used or refused: never a traceback, never a hang."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mutations import mutate_bytes, mutate_tree
from safetensors.torch import load_file, save_file

import asr
from asr.errors import InputError
from asr.models import info

MAX_SECONDS = 10.0  # of the CPU
Weights = dict[str, torch.Tensor]


def change_weights(weights: Weights, rng: random.Random) -> Weights:
    """Return weights of which one is missing, or of another type, shape or value, or that have one more."""
    name = rng.choice(list(weights))
    tensor = weights[name]
    changes: list[Callable[[], Weights]] = [
        lambda: {key: value for key, value in weights.items() if key != name},
        lambda: {**weights, name + "x": tensor.clone()},
        lambda: {**weights, name: tensor * float("nan")},
        lambda: {**weights, name: torch.zeros(0)},
        lambda: {**weights, name: tensor.reshape(-1)[: max(1, tensor.numel() // 2)].clone()},
        lambda: {**weights, name: torch.tensor(1.0)},
        *(lambda kind=kind: {**weights, name: tensor.to(kind)} for kind in TYPES),
    ]
    return rng.choice(changes)()


TYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)


def mutate(model: Path, rng: random.Random) -> None:
    """Change one file of a model directory."""
    kind = rng.choice(
        ["tree"] * 5 + ["config.yaml", "vocabulary.txt", "metrics.json", "weights.safetensors", "weights"]
    )
    weights = model / "weights.safetensors"
    if kind == "tree":
        config = yaml.safe_load((model / "config.yaml").read_text(encoding="utf-8"))
        (model / "config.yaml").write_text(yaml.safe_dump(mutate_tree(config, rng), sort_keys=False), encoding="utf-8")
    elif kind == "weights":
        save_file(change_weights(load_file(weights), rng), weights)
    else:
        content = (model / kind).read_bytes()
        header = 8 + int.from_bytes(content[:8], "little") if kind == "weights.safetensors" else None
        (model / kind).write_bytes(mutate_bytes(content, rng, header))


def check(original: Path, folder: Path, count: int, seed: int) -> None:
    rng, wave = random.Random(seed), np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    uses: tuple[Callable[[Path], Any], ...] = (
        lambda model: asr.load(model).transcribe(wave, 8000),
        lambda model: info.render(info.read(model)),
    )
    model, readable, faults = folder / "model", 0, []
    for number in range(count):
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(original, model)
        mutate(model, rng)
        began = time.process_time()
        for use in uses:
            try:
                use(model)
                readable += 1
            except InputError as error:
                if "\n" in str(error):
                    faults.append(f"{number}: {error!r}")
            except Exception as error:
                faults.append(f"{number}: {error!r}")
        if (seconds := time.process_time() - began) > MAX_SECONDS:
            faults.append(f"{number}: {seconds:.1f} s")
    assert not faults, f"seed {seed}"
    assert 0 < readable < 2 * count


def test_mutated_models(tone_run: Path, tmp_path: Path) -> None:
    check(tone_run / "model", tmp_path, 25, 0)


@pytest.mark.slow
def test_many_mutated_models(tone_run: Path, tmp_path: Path) -> None:
    check(tone_run / "model", tmp_path, 1000, 1)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_weights_of_another_type(kind: torch.dtype, tone_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tone_run / "model", tmp_path / "model")
    weights = load_file(tmp_path / "model" / "weights.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    save_file({**weights, name: weights[name].to(kind)}, tmp_path / "model" / "weights.safetensors")
    with pytest.raises(InputError, match=rf"weights.safetensors: .*{name} has type {kind}, torch.float32 is expected"):
        asr.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"hidden_size": 10**6}, r"the network is too large: \d+ GB, this machine has \d+ GB"),
        ({"hidden_size": 2**31}, "the network is too large"),
        ({"hidden_size": 10**12}, "hidden_size=1000000000000: the network is too large, at most 2147483648 are"),
        ({"hidden_size": 2**62}, "the network is too large"),
        ({"hidden_size": 10**30}, "the network is too large"),
        ({"num_layers": 10**6}, "num_layers=1000000: at most 1000"),
    ],
)
def test_networks_that_no_machine_has_memory_for(
    encoder: dict[str, int], message: str, tone_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tone_run / "model", tmp_path / "model")
    config = yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())
    config["encoder"] |= encoder
    (tmp_path / "model" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=message):
        asr.load(tmp_path / "model")
