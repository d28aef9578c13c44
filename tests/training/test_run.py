"""Training from wav files and a manifest: the files of a run, starting from a model, wrong settings and data."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.data import manifest
from asr.errors import InputError
from asr.inference.recognizer import Recognizer
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.models import directory, store
from asr.modules.weight_noise import WeightNoise
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import EOS, Vocabulary
from asr.training.jobs._speech_data import read_split
from asr.training.run import train
from asr.training.trainer import usable_precision
from asr.training.warm_start import init_from_model

Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, tone_corpus: Any, tone_texts: Any) -> Path:
    path: Path = tone_corpus(tmp_path_factory.mktemp("corpus"), tone_texts(8))
    return path


# -- the files and figures of a run


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


# -- wrong settings and data


def refused(config: Any, message: str, run_dir: Path) -> None:
    with pytest.raises(InputError, match=message):
        train(config)
    assert not (run_dir / "checkpoints").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.dev": None}, r"data\.dev names no manifest"),
        ({"data.train": "/none.jsonl"}, r"/none\.jsonl: no such manifest"),
        ({"data.too_short": "maybe"}, r"data\.too_short='maybe' is not one of skip, error"),
        ({"data.seconds": 0}, "seconds of audio in a batch must be positive"),
        (
            {"data.perturbation": {"sped": [1]}},
            r"data\.perturbation has no option sped \(did you mean speed\?\); it has .*speed, .*noise",
        ),
        ({"task": {"type": "ctc", "heads": {}}}, r"task\.heads names no head"),
        ({"task": {"type": "rnnt", "heads": {"a": {"kind": "characters"}}}}, "type='rnnt' is not one of ctc"),
        (
            {"task": {"type": "ctc", "heads": {"a": {"kind": "letters"}}}},
            r"task\.heads\.a\.kind='letters' is not one of",
        ),
        ({"encoder.hidden": 3}, r"encoder: rnn has no option hidden \(did you mean hidden_size\?\)"),
        ({"encoder.type": "os.system"}, r"encoder: type='os\.system' is not one of rnn"),
        ({"optimizer.lr_": 3}, "optimizer: adamw has no option lr_"),
        ({"optimizer.schedule": {"type": "x"}}, r"optimizer\.schedule: type='x' is not one of"),
        ({"decoder": {"type": "wide"}}, "decoder: type='wide' is not one of greedy"),
        ({"decoder": {"type": "beam", "head": "phones"}}, r"decoder\.head='phones' is not one of text"),
        ({"decoder": {"type": "beam", "lm": "/none.arpa"}}, r"/none\.arpa"),
        ({"init": "/none"}, "/none: no such model directory"),
        ({"trainer.monitor": "bleu"}, r"trainer\.monitor=.?bleu"),
        ({"trainer.monitor": "per"}, r"trainer\.monitor=.?per"),
        ({"trainer.epoch": 3}, r"trainer has no option epoch \(did you mean epochs\?\); it has epochs"),
        ({"trainer.epochs": "abc"}, r"trainer\.epochs"),
        ({"trainer.precision": "8"}, "(?i)precision"),
        ({"trainer.accelerator": "abacus"}, "abacus"),
    ],
)
def test_wrong_settings(
    changes: dict[str, Any], message: str, tmp_path: Path, tiny_config: Config, corpus: Path
) -> None:
    refused(tiny_config(tmp_path / "run", corpus, **changes), message, tmp_path / "run")


def test_weights_of_another_network(tmp_path: Path, tiny_config: Config, corpus: Path, tone_run: Path) -> None:
    config = tiny_config(tmp_path / "run", corpus, init=str(tone_run), **{"encoder.hidden_size": 7})
    message = rf"init={tone_run}: does not fit .*: encoder.rnn.forwards.0.weight_ih_l0 has shape \(128, 40\)"
    refused(config, message, tmp_path / "run")


def test_weights_of_a_task_without_common_parts(tmp_path: Path, tone_run: Path) -> None:
    language = {"heads": {"text": {"kind": "characters"}}, "type": "language"}
    task = store.make_task(
        {"task": language, "label_rnn": {"type": "label_rnn", "hidden_size": 4}},
        {"text": Vocabulary.characters("ab", specials=(EOS,))},
    )
    with pytest.raises(InputError, match="this task shares no weights with a model of type ctc"):
        init_from_model(task, tone_run)


def test_unknown_characters_are_named(tmp_path: Path, tiny_config: Config, corpus: Path, tone_corpus: Any) -> None:
    cuts = manifest.read(corpus)
    cuts[3].supervisions[0].text = "ab é"
    manifest.write(cuts, tmp_path / "train.jsonl")
    heads = {"text": {"kind": "characters", "alphabet": " abcdefgh"}}
    config = tiny_config(tmp_path / "run", tmp_path / "train.jsonl", task={"type": "ctc", "heads": heads})
    message = r"utterance train3: characters outside the vocabulary: 'é' \(U\+00E9\).*; set task.heads.text.unknown to "
    refused(config, message, tmp_path / "run")


def test_too_short_utterances_are_named(
    tmp_path: Path, tiny_config: Config, corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cuts = manifest.read(corpus)
    cuts[5].supervisions[0].text = "ab" * 500
    cuts[6].supervisions[0].text = "a" * 30  # a repeat needs a blank, too
    manifest.write(cuts, tmp_path / "train.jsonl")
    changes = {"trainer.epochs": 1, "data.train": str(tmp_path / "train.jsonl"), "data.dev": str(corpus)}
    config = tiny_config(tmp_path / "run", corpus, **changes, **{"data.too_short": "error"})
    message = r"2 of 8 training utterances are too short for CTC: train5 \(text: \d+ frames, 1000 needed\); train6"
    refused(config, message + r" \(text: \d+ frames, 59 needed\)", tmp_path / "run")
    train(tiny_config(tmp_path / "run", corpus, **changes))
    assert any(re.match(message, record.message) for record in caplog.records)


def test_a_loss_that_is_not_finite_names_the_utterances(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    config = tiny_config(tmp_path, corpus, **{"optimizer": {"type": "sgd", "lr": 1e30}, "trainer.gradient_clip": None})
    with pytest.raises(InputError, match=r"the loss is (nan|inf) at step \d+, in train\d.*optimizer\.lr"):
        train(config)


def test_dev_without_references_for_the_monitored_head(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    cuts = manifest.read(corpus)
    for cut in cuts:
        del cut.supervisions[0].custom["phones"]
    manifest.write(cuts, tmp_path / "dev.jsonl")
    heads = {"phones": {"kind": "phones"}}
    config = tiny_config(
        tmp_path / "run", corpus, task={"type": "ctc", "heads": heads}, **{"data.dev": str(tmp_path / "dev.jsonl")}
    )
    refused(config, "dev.*phones", tmp_path / "run")
    config["data"] |= {"train": str(tmp_path / "dev.jsonl")}
    refused(config, "no training utterance has phones", tmp_path / "run")


def test_manifests_of_one_name_are_all_read(tmp_path: Path, tone_corpus: Any) -> None:
    paths = [str(tone_corpus(tmp_path / name, [text])) for name, text in (("one", "ab"), ("two", "cad"))]
    assert [Path(path).name for path in paths] == [Path(paths[0]).name] * 2
    splits = read_split(paths, "train")
    assert [manifest.text(cut) for cuts in splits.values() for cut in cuts] == ["ab", "cad"]


# -- clipping and weight noise


def test_gradients_are_clipped_by_value(
    tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest: list[float] = []
    step = torch.optim.SGD.step

    def recorded(self: Any, closure: Any = None) -> Any:
        result = step(self, closure)  # the closure computes and clips
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        largest.append(max(float(gradient.abs().max()) for gradient in gradients))
        return result

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    optimizer = {"type": "sgd", "lr": 1e-3}
    changes = {"trainer.epochs": 1, "trainer.gradient_clip": 1e-4, "trainer.gradient_clip_by": "value"}
    train(tiny_config(tmp_path, corpus, optimizer=optimizer, **changes))
    assert largest and all(value == pytest.approx(1e-4) for value in largest)


@pytest.mark.parametrize(("per", "draws"), [("batch", 4), ("step", 2)])
def test_weight_noise_of_a_batch_or_a_step(
    per: str, draws: int, tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four batches make two steps. The optimizer finds clean weights, and gradients at noisy ones."""
    noisy: list[float] = []
    stepped: list[float] = []
    loss, step = CTCTask.training_loss, torch.optim.SGD.step

    def training_loss(self: CTCTask, batch: Any) -> Any:
        noisy.append(float(next(self.encoder.parameters()).detach()[0, 0]))
        return loss(self, batch)

    def recorded(self: Any, closure: Any = None) -> Any:
        result = step(self, closure)
        stepped.append(float(next(p for p in self.param_groups[0]["params"] if p.dim() == 2).detach()[0, 0]))
        return result

    monkeypatch.setattr(CTCTask, "training_loss", training_loss)
    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    changes = {"trainer.weight_noise": 0.5, "trainer.weight_noise_per": per, "trainer.accumulate_batches": 2}
    changes |= {"trainer.epochs": 1, "data.utterances": 2, "optimizer": {"type": "sgd", "lr": 1e-9}}
    train(tiny_config(tmp_path, corpus, **changes))
    assert len(noisy) == 4 and len(set(noisy)) == draws and len(stepped) == 2
    assert max(abs(value - stepped[0]) for value in noisy) > 0.01
    assert stepped[0] == pytest.approx(stepped[1], abs=1e-6)


def test_two_phases_without_and_with_weight_noise(
    tmp_path: Path, tiny_config: Config, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deviations: list[float] = []
    add = WeightNoise.add

    def recorded(self: WeightNoise) -> None:
        deviations.append(self.std)
        add(self)

    monkeypatch.setattr(WeightNoise, "add", recorded)
    changes = {"trainer.epochs": 3, "trainer.weight_noise": 0.05, "trainer.weight_noise_from": "best_loss"}
    config = tiny_config(tmp_path / "run", corpus, **changes)
    figures = train(config)
    half = len(deviations) // 2
    assert deviations == [0.0] * half + [0.05] * half and half % 3 == 0
    first = torch.load(tmp_path / "run" / "without_noise" / "checkpoints" / "chosen.ckpt", weights_only=True)
    assert figures["training"]["best_epoch_without_noise"] == first["epoch"] + 1
    # the first phase is a training like any other, which is judged by the dev loss
    train(tiny_config(tmp_path / "clean", corpus, **{"trainer.epochs": 3, "trainer.monitor": "loss"}))
    clean = torch.load(tmp_path / "clean" / "checkpoints" / "best.ckpt", weights_only=True)
    assert clean["epoch"] == first["epoch"]
    for name, value in clean["state_dict"].items():
        assert torch.equal(value, first["state_dict"][name]), name
    # the second one begins where the first one ended
    deviations.clear()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert train(config | {"resume": "auto"})["dev"] == figures["dev"]
    assert deviations == [0.05] * half
    with pytest.raises(InputError, match="holds a run already"):
        train(config)


def test_two_phases_need_noise(tmp_path: Path, tiny_config: Config, corpus: Path) -> None:
    with pytest.raises(InputError, match=r"weight_noise_from=best_loss: trainer.weight_noise is needed too"):
        train(tiny_config(tmp_path, corpus, **{"trainer.weight_noise_from": "best_loss"}))
