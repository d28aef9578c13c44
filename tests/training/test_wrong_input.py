"""Settings, models and data that training refuses, or names and goes on without."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.data import manifest
from asr.errors import InputError
from asr.models import store
from asr.text.vocabulary import EOS, Vocabulary
from asr.training.jobs._speech_data import read_split
from asr.training.run import train
from asr.training.warm_start import init_from_model

Config = Callable[..., dict[str, Any]]


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
