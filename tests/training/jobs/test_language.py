"""Language models: trained on a short text, resumed, sampled from; wrong settings."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.decoding.label.sampling import Sampling
from asr.errors import InputError
from asr.inference.generator import Generator
from asr.models import store
from asr.tasks.language import LanguageTask
from asr.training.module import TrainingModule
from asr.training.run import train

TEXT = "To be, or not to be:\nthat is the question.\n\tWhether 'tis nobler\n" * 12
Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def language_config(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The configuration of a small model of a short text, repeated."""
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text(TEXT)

    def make(run_dir: Path, **changes: Any) -> dict[str, Any]:
        config = tiny_config(run_dir, text)
        for group in ("features", "encoder", "augmentation", "decoder"):
            config.pop(group, None)
        config["task"] = {
            "type": "language",
            "heads": {"text": {"kind": "characters", "normalization": {"white_space": "keep"}, "unknown": "error"}},
        }
        config["label_rnn"] = {"type": "label_rnn", "embedding_size": 16, "hidden_size": 64, "num_layers": 1}
        config["data"] = {
            "train": str(text),
            "dev": str(text),
            "test": None,
            "eos_after": "file",
            "batch_size": 4,
            "bptt": 16,
        }
        config["trainer"]["epochs"] = 30
        config["optimizer"]["lr"] = 0.02
        for key, value in changes.items():
            group, name = key.split(".")
            config[group][name] = value
        return config

    return make


@pytest.fixture(scope="module")
def run(language_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("language_run")
    train(language_config(run_dir))
    return run_dir


def test_a_text_is_memorized(run: Path) -> None:
    figures = json.loads((run / "model" / "metrics.json").read_text())
    dev = figures["dev"]
    assert dev["labels"] == len(TEXT) + 1 and figures["training"]["characters"] == len(TEXT)
    assert dev["nats_per_label"] < 0.2
    assert dev["bits_per_character"] == pytest.approx(
        dev["nats_per_label"] * dev["labels"] / len(TEXT) / math.log(2), abs=1e-3
    )
    card = (run / "model" / "README.md").read_text()
    assert f"| dev | {dev['labels']} | {dev['nats_per_label']:.4f} |" in card and "asr generate" in card


def test_the_cross_entropy_equals_the_sum_label_by_label(run: Path) -> None:
    task = store.load(run / "model", LanguageTask)
    labels = [task.eos, *task.vocabulary.encode(TEXT), task.eos]
    state, nats = task.network.start(1), 0.0
    with torch.no_grad():
        for label, following in pairwise(labels):
            log_probs, state = task.network.step(state, torch.tensor([label]))
            nats -= float(log_probs[0, following])
    whole, _ = task.loss(torch.tensor([labels]))
    assert whole.item() == pytest.approx(nats / (len(labels) - 1), abs=1e-4)
    figure = json.loads((run / "model" / "metrics.json").read_text())["dev"]["nats_per_label"]
    assert figure == pytest.approx(whole.item(), abs=0.1)  # of eight streams, each of which starts without context


def test_evaluate(run: Path, asr: Callable[..., Any], tmp_path: Path) -> None:
    figures = json.loads((run / "model" / "metrics.json").read_text())["dev"]
    (tmp_path / "text.txt").write_text(TEXT)
    outcome = asr("evaluate", run, tmp_path / "text.txt", "--json", tmp_path / "figures.json")
    assert f"{figures['labels']} labels: {figures['nats_per_label']:.4f} nats a label" in outcome.out
    assert json.loads((tmp_path / "figures.json").read_text()) == {str(tmp_path / "text.txt"): figures}
    (tmp_path / "text.txt").write_text("")
    asr("evaluate", run, tmp_path / "text.txt").check_refusal("there is no text in")
    (tmp_path / "text.txt").write_text("To be €")
    asr("evaluate", run, tmp_path / "text.txt").check_refusal("'€'")


def test_it_generates_the_training_text(run: Path) -> None:
    generator = Generator.load(run)
    parts = list(generator.stream("To be,", Sampling(temperature=0.1), max_length=40, seed=1))
    assert len(parts) == 40 and "".join(parts) in TEXT[6:]
    assert parts == list(generator.stream("To be,", Sampling(temperature=0.1), max_length=40, seed=1))
    assert list(generator.stream(max_length=3, seed=1)) != list(generator.stream("To", max_length=3, seed=2))
    options: dict[str, Any] = {"sampling": Sampling(temperature=0.1), "max_length": 40, "seed": 1}
    results = dict(generator.generate_all(["To be,", "€", "To be,"], **options))
    assert results[0] == "".join(parts) == generator.generate("To be,", **options)
    assert isinstance(results[1], InputError) and isinstance(results[2], str)


def test_the_command(asr: Callable[..., Any], run: Path, tone_run: Path) -> None:
    done = asr("generate", run, "--prompt", "To be,", "--length", "30", "--top-k", "1", "--count", "2")
    assert done.status == 0, done.err
    first = TEXT[:36]
    assert done.out == f"{first}\n{first}\n"
    asr("generate", run, "--prompt", "Ärger").check_refusal(
        "prompt: characters outside the vocabulary: 'Ä'.*; use only characters that the model was trained on"
    )
    asr("generate", tone_run).check_refusal("a speech recognizer; a language model is needed")
    asr("generate", run, "--temperature", "0").check_refusal("temperature=0.0.*above 0")
    refused = asr("transcribe", tone_run / "corpus", "--model", run)
    refused.check_refusal("a language model; a speech recognizer is needed")


def test_a_resumed_run_equals_an_uninterrupted_one(
    language_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"trainer.epochs": 3, "label_rnn.dropout": 0.3}
    train(language_config(tmp_path / "straight", **changes))
    step = TrainingModule.training_step

    def stop(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.current_epoch == 1 and batch_idx == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", stop)
    with pytest.raises(BaseException, match="stopped by signal"):
        train(language_config(tmp_path / "broken", **changes))
    monkeypatch.setattr(TrainingModule, "training_step", step)
    train(language_config(tmp_path / "broken", **changes) | {"resume": "auto"})
    weights = [(tmp_path / run / "model" / "weights.safetensors").read_bytes() for run in ("straight", "broken")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.eos_after": "word"}, "data.eos_after='word' is not one of file, line, sentence"),
        ({"data.batch_size": 0}, "data.batch_size=0: expected a whole number of at least 1"),
        ({"data.batch_size": 5000}, "too short for 5000 streams"),
        ({"data.dev": None}, "data.dev=None: expected a path or a list of paths$"),
        ({"data.train": []}, "data.train names no text file"),
        ({"data.seconds": 3}, "data has no option seconds; it has train"),
        ({"label_rnn.cell": "rnn"}, "cell='rnn' is not one of tanh, relu, lstm"),
        (
            {"task.type": "speech"},
            "type='speech' is not one of ctc, transducer, classification, seq2seq, captioning, language",
        ),
        ({"task.heads": {}}, "a language model has one head, not 0"),
    ],
)
def test_wrong_settings(language_config: Config, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(language_config(tmp_path / "run", **changes))
    assert not (tmp_path / "run" / "model").exists()


def test_unknown_characters_of_dev_are_named(language_config: Config, tmp_path: Path) -> None:
    (tmp_path / "dev.txt").write_text("to be\nö\n")
    with pytest.raises(InputError, match=r"2 of data.dev: .*'ö' \(U\+00F6\)"):
        train(language_config(tmp_path / "run", **{"data.dev": str(tmp_path / "dev.txt"), "data.eos_after": "line"}))
    (tmp_path / "dev.txt").write_text("\n \n")
    with pytest.raises(InputError, match=r"data.dev: there is no text in .*dev.txt"):
        train(language_config(tmp_path / "run", **{"data.dev": str(tmp_path / "dev.txt")}))
