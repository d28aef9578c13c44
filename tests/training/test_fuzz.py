"""Mutated recipes and settings on the command line train or are refused in one line: never a traceback or a hang."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from mutations import TEXTS, mutate_bytes, mutate_tree, paths

MAX_SECONDS = 10.0  # of the CPU
RECIPES = {
    "ctc": """
        defaults: [train, _self_]
        features: {sample_rate: 8000, num_mels: 20, energy: false, deltas: 0}
        encoder: {hidden_size: 8, num_layers: 1, stack: 2, stride: 2}
        """,
    "classification": """
        defaults: [train_classification, _self_]
        features: {sample_rate: 8000, num_mels: 20}
        encoder: {hidden_size: 8, num_layers: 1}
        """,
    "language": """
        defaults: [train_language, _self_]
        label_rnn: {hidden_size: 8, embedding_size: 4}
        data: {batch_size: 2, bptt: 8}
        """,
    "seq2seq": """
        defaults: [train_seq2seq, _self_]
        encoder: {hidden_size: 8, num_layers: 1}
        label_rnn: {hidden_size: 8, embedding_size: 4}
        """,
}
CHARACTERS = "=+~.,[]{}$\"'\\ abc/@:é%-\n\t#()"
Asr = Callable[..., Any]


def data_of(kind: str, folder: Path, tone_corpus: Callable[..., Path]) -> Path:
    if kind in ("ctc", "classification"):
        return tone_corpus(folder / "corpus", ["ab", "cd", "ab", "cd"])
    path = folder / "data.txt"
    path.write_text("to be or not to be\n" * 8 if kind == "language" else "ca\tk aa1\nci\ts iy1\nbib\tb iy1 b\n")
    return path


def override(recipe: Any, rng: random.Random) -> str:
    key = ".".join(
        map(str, rng.choice([*paths(recipe), ("trainer",), ("optimizer", "lr"), ("data", "seconds"), ("task",)]))
    )
    forms = [f"{key}={rng.choice(TEXTS)}"] * 5 + [f"~{key}", f"+{key}x=1", f"++{key}.y={rng.choice(TEXTS)}"]
    forms.append("".join(rng.choice(CHARACTERS) for _ in range(rng.randint(1, 12))))
    return rng.choice(forms)


def one_line(text: str) -> bool:
    """Whether a message is one error in its last line and no traceback."""
    last = text.rstrip().splitlines()[-1:]
    return (
        last != []
        and last[0].startswith("asr: error: ")
        and text.count("asr: error: ") == 1
        and "Traceback" not in text
    )


def check(kind: str, folder: Path, data: Path, asr: Asr, count: int) -> None:
    rng, original = random.Random(kind), RECIPES[kind]
    recipe = yaml.safe_load(original)
    path, run = folder / "recipe.yaml", folder / "run"
    fixed = [f"data.train={data}", f"data.dev={data}", "data.test=null", f"run_dir={run}", "trainer.epochs=1"]
    fixed += ["name=fuzz", "trainer.max_minutes=null", "trainer.accelerator=cpu", "init=null", "trainer.threads=1"]
    statuses, faults = set(), []
    for number in range(count):
        shutil.rmtree(run, ignore_errors=True)
        overrides: list[str] = []
        content = yaml.safe_dump(recipe, sort_keys=False).encode()
        if rng.random() < 0.5:
            overrides = [override(recipe, rng)]
        elif rng.random() < 0.7:
            content = yaml.safe_dump(mutate_tree(recipe, rng), sort_keys=False).encode()
        else:
            content = mutate_bytes(content, rng)
        path.write_bytes(content)
        GlobalHydra.instance().clear()
        began = time.process_time()
        what = f"{kind}, {number}: {overrides or content!r}"
        try:
            outcome = asr("train", path, *fixed, *overrides)
        except Exception as error:
            faults.append(f"{what}: {error!r}")
            continue
        statuses.add(outcome.status)
        if outcome.status == 1 and not one_line(outcome.err):
            faults.append(f"{what}: {outcome.err}")
        if (seconds := time.process_time() - began) > MAX_SECONDS:
            faults.append(f"{what}: {seconds:.1f} s")
    assert not faults
    assert statuses <= {0, 1, 2}


@pytest.mark.parametrize("kind", RECIPES)
def test_mutated_configurations(kind: str, tmp_path: Path, tone_corpus: Callable[..., Path], asr: Asr) -> None:
    check(kind, tmp_path, data_of(kind, tmp_path, tone_corpus), asr, 8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_many_mutated_configurations(kind: str, tmp_path: Path, tone_corpus: Callable[..., Path], asr: Asr) -> None:
    check(kind, tmp_path, data_of(kind, tmp_path, tone_corpus), asr, 250)
