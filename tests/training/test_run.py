"""Training from wav files and a manifest: the files and figures of a run, starting from a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.data import manifest
from asr.inference.recognizer import Recognizer
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.models import directory, store
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.training.run import train
from asr.training.trainer import usable_precision

Config = Callable[..., dict[str, Any]]


def test_eight_utterances_are_memorized(tone_run: Path) -> None:
    figures = json.loads((tone_run / "model" / "metrics.json").read_text())
    report = figures["dev"]["train"]["text"]
    assert (report["wer"], report["cer"], report["utterances"]) == (0.0, 0.0, 8)
    assert figures["training"]["epochs"] == 30 and 1 <= figures["training"]["best_epoch"] <= 30
    names = {path.name for path in (tone_run / "model").iterdir()}
    assert names == {"config.yaml", "vocabulary.txt", "weights.safetensors", "metrics.json", "README.md"}
    card = (tone_run / "model" / "README.md").read_text()
    assert "| dev train | text | 8 | 0.00 | 0.00 |  |" in card
    assert directory.read_config(tone_run / "model")["training"]["seed"] == 1
    assert list((tone_run / "tensorboard").glob("events.out.tfevents.*"))


def test_the_line_of_an_epoch(
    tmp_path: Path, tiny_config: Config, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny_config(tmp_path, corpus, **{"trainer.epochs": 2}))
    lines = capsys.readouterr().out.splitlines()
    number = r"\d+(\.\d+)?"
    assert re.fullmatch(
        rf"epoch 1/2 \| loss {number} \| dev loss {number} \| WER {number}% \| CER {number}% \| blank {number}% \| "
        rf"lr \d\.\de-\d\d \| {number} utt/s, {number} audio-s/s \| {number} s \| {number} s left \| best",
        lines[0],
    )
    assert [line[:9] for line in lines[1:5]] == ["    ref  ", "    hyp  ", "    ref  ", "    hyp  "]
    assert lines[5].startswith("epoch 2/2") and "left" not in lines[5]
    rates = [float(re.search(r"lr (\S+)", line)[1]) for line in (lines[0], lines[5])]  # type: ignore[index]
    assert rates[0] > 100 * rates[1]  # of the last step, not of one after it: the schedule has come down


def test_early_stopping_and_the_best_epoch(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    figures = train(
        tiny_config(tmp_path, corpus, **{"trainer.epochs": 50, "trainer.early_stopping": 2, "optimizer.lr": 1e-5})
    )
    assert figures["training"]["epochs"] == figures["training"]["best_epoch"] + 2 < 50


def test_time_limit(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    figures = train(tiny_config(tmp_path, corpus, **{"trainer.epochs": 100000, "trainer.max_minutes": 0.01}))
    assert 1 <= figures["training"]["epochs"] < 100000
    assert (tmp_path / "model" / "weights.safetensors").exists()


def test_two_heads_share_an_encoder(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    heads = {
        "text": {"kind": "characters", "normalization": "english"},
        "phones": {"kind": "phones", "weight": 0.5},
    }
    cuts = manifest.read(corpus)
    del cuts[0].supervisions[0].custom["phones"]
    manifest.write(cuts, tmp_path / "train.jsonl")
    figures = train(
        tiny_config(tmp_path / "run", tmp_path / "train.jsonl", task={"type": "ctc", "heads": heads}) | {"name": "both"}
    )
    assert figures["dev"]["train"]["text"]["wer"] == 0
    assert figures["dev"]["train"]["phones"]["per"] == 0
    assert figures["dev"]["train"]["text"]["utterances"] == 8
    assert figures["dev"]["train"]["phones"]["utterances"] == 7
    assert (tmp_path / "run" / "model" / "vocabulary.phones.txt").exists()


def test_two_heads_of_one_kind_report_the_first(
    tmp_path: Path, tiny_config: Config, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = {
        "text": {"kind": "characters", "normalization": "english"},
        "idle": {"kind": "characters", "normalization": "english", "weight": 0.0},
    }
    figures = train(tiny_config(tmp_path, corpus, task={"type": "ctc", "heads": heads}))
    assert figures["dev"]["train"]["text"]["wer"] == 0 < figures["dev"]["train"]["idle"]["wer"]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 30/")]
    assert "WER 0.0%" in lines[0]


def test_in_a_thread(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    """Where Python allows no signal handlers."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(train, tiny_config(tmp_path, corpus, **{"trainer.epochs": 1})).result()
    assert (tmp_path / "model" / "weights.safetensors").exists()


def test_bfloat16(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    """Whether the processor has it or not."""
    figures = train(tiny_config(tmp_path, corpus, **{"trainer.precision": "bf16-mixed"}))
    assert figures["dev"]["train"]["text"]["wer"] == 0


@pytest.mark.parametrize(
    ("precision", "accelerator", "has_bfloat16", "used"),
    [
        ("bf16-mixed", "cpu", True, "bf16-mixed"),
        ("bf16-mixed", "cpu", False, "32-true"),
        ("bf16-mixed", "cuda", False, "bf16-mixed"),
        ("64-true", "cpu", False, "64-true"),
    ],
)
def test_precision_without_bfloat16(
    monkeypatch: pytest.MonkeyPatch, precision: str, accelerator: str, has_bfloat16: bool, used: str
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bfloat16)
    assert usable_precision(precision, accelerator) == used


def test_several_manifests_and_a_test_set(tmp_path: Path, tiny_config: Config, corpus: Path, tone_corpus: Any) -> None:
    other = tone_corpus(tmp_path, ["ab cd", "fe ga"], "other")
    figures = train(
        tiny_config(
            tmp_path / "run",
            corpus,
            **{
                "trainer.epochs": 1,
                "data.train": [str(corpus), str(other)],
                "data.test": {"seen": str(corpus), "new": str(other)},
            },
        )
    )
    assert list(figures["test"]) == ["seen", "new"]
    assert figures["test"]["new"]["text"]["utterances"] == 2


def test_the_decoder_of_the_configuration_is_tested_and_kept(
    tmp_path: Path, tiny_config: Config, corpus: Path, tone_texts: Any
) -> None:
    words = encode_sentences([text.split() for text in tone_texts(8)])
    arpa.write(kneser_ney(words, 1), tmp_path / "words.arpa")
    decoder = {"type": "beam", "head": None, "beam": 5, "lm": str(tmp_path / "words.arpa")}
    figures = train(tiny_config(tmp_path / "run", corpus, decoder=decoder, **{"trainer.epochs": 1}))
    assert list(figures["dev"]["train"]) == ["text", "text, beam"]
    model = tmp_path / "run" / "model"
    assert (model / "lm.arpa").read_bytes() == (tmp_path / "words.arpa").read_bytes()
    assert directory.read_config(model)["decoder"] == decoder | {"lm": "lm.arpa"}
    (tmp_path / "words.arpa").unlink()
    assert Recognizer.load(model).decoder.scoring_vocabulary.kind == "characters"


def test_starting_from_a_model(
    tmp_path: Path, tiny_config: Config, corpus: Path, tone_run: Path, tone_corpus: Any, caplog: Any
) -> None:
    caplog.set_level("INFO", "asr")
    frozen = {"init": str(tone_run), "trainer.epochs": 1, "optimizer": {"type": "sgd", "lr": 1e-9}}
    figures = train(tiny_config(tmp_path / "same", corpus, **frozen))
    assert figures["dev"]["train"]["text"]["wer"] == 0.0  # as the model had it
    assert "started from the weights of the model `tiny`" in (tmp_path / "same" / "model" / "README.md").read_text()
    other = tone_corpus(tmp_path, ["ab cd", "fe gh"], "other")
    caplog.clear()
    train(tiny_config(tmp_path / "other", other, **frozen))
    assert "newly initialized heads, as their vocabulary differs: text" in caplog.text
    before, after = (store.load(run / "model", CTCTask).state_dict() for run in (tone_run, tmp_path / "other"))
    assert before["heads.text.weight"].shape != after["heads.text.weight"].shape
    name = "encoder.rnn.forwards.0.weight_hh_l0"
    assert (before[name] - after[name]).abs().max() < 1e-6


def test_a_classifier_starts_with_the_encoder_of_a_recognizer(
    tone_run: Path, class_config: Any, tone_corpus: Any, tmp_path: Path, caplog: Any
) -> None:
    caplog.set_level("INFO", "asr")
    reader = directory.read_config(tone_run / "model")
    alike = {group: reader[group] for group in ("features", "encoder")}
    frozen = {"init": str(tone_run), "trainer.epochs": 1, "optimizer": {"type": "sgd", "lr": 1e-9}}
    words = tone_corpus(tmp_path, ["ab", "c d", "hgf"])
    train(class_config(tmp_path / "run", words, **alike, **frozen))
    assert "everything but features and encoder is newly initialized" in caplog.text
    before = store.load(tone_run / "model", CTCTask).state_dict()
    after = store.load(tmp_path / "run" / "model", ClassificationTask).state_dict()
    taken = [name for name in after if name.split(".")[0] in ("features", "encoder")]
    assert len(taken) > 5 and all((before[name] - after[name]).abs().max() < 1e-6 for name in taken)
