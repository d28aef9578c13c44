"""Adapt a model: what a recipe without heads takes from ``init``, heads without data, texts outside the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.data import manifest
from asr.errors import InputError
from asr.inference.recognizer import Recognizer
from asr.models import store
from asr.models.directory import read_config
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary
from asr.training.run import train
from asr.training.warm_start import complete_from_model

LEGACY = Path(__file__).parents[1] / "data" / "legacy"
INPUTS = LEGACY / "inputs" / "test.jsonl.gz"
RECIPE = "recipes/adapt/voice.yaml"
FAST = ("trainer.epochs=2", "trainer.precision=32-true", "trainer.accelerator=cpu")

Asr = Callable[..., Any]


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory: pytest.TempPathFactory, tiny_config: Any, tone_corpus: Any, tone_texts: Any) -> Path:
    """A run of a model of characters and phones, the phones fed back."""
    run_dir = tmp_path_factory.mktemp("two_heads")
    heads = {"text": {"kind": "characters", "alphabet": " abcdefgh"}, "phones": {"kind": "phones"}}
    task = {"type": "ctc", "self_condition": [1], "heads": heads}
    corpus = tone_corpus(run_dir / "corpus", tone_texts(8))
    train(tiny_config(run_dir, corpus, task=task, **{"trainer.epochs": 2, "encoder.num_layers": 2}))
    return run_dir


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, tone_corpus: Any) -> Path:
    """Recordings of one's own: texts without phones, two with characters that the models lack."""
    path: Path = tone_corpus(tmp_path_factory.mktemp("own"), ["ab cd", "ef gh", "ha", "cde ab", "e b", "dead bee"])
    cuts = manifest.read(path)
    for cut, text in zip(cuts, ["ab cd", "ef gh", "ha", "5% ab", "é b", "dead bee"], strict=True):
        cut.supervisions[0].text = text
        cut.supervisions[0].custom = None
    manifest.write(cuts, path)
    return path


def adapt(asr: Asr, init: Path, data: Path, run_dir: Path, *settings: str) -> Any:
    files = (f"data.train={data}", f"data.dev={data}", f"run_dir={run_dir}")
    return asr("train", RECIPE, f"init={init}", *files, *FAST, *settings)


# -- what is taken from the model


def test_a_configuration_without_heads_is_completed_by_that_of_the_model() -> None:
    config = {
        "task": {"type": "ctc", "consistency": 0.2},
        "init": str(LEGACY / "ctc_text"),
        "encoder": {"dropout": 0.5},
    }
    completed = complete_from_model(config)
    model = read_config(LEGACY / "ctc_text")
    assert completed["features"] == model["features"] and completed["augmentation"] == model["augmentation"]
    assert completed["encoder"] == model["encoder"] | {"dropout": 0.5}
    assert completed["task"]["consistency"] == 0.2 and completed["task"]["self_condition"] == [1]
    assert list(completed["task"]["heads"]) == ["text", "phones", "pieces", "times"]
    assert completed["task"]["heads"]["pieces"]["vocabulary"] == str(LEGACY / "ctc_text" / "vocabulary.pieces.txt")


def test_the_decoder_of_the_model_is_kept_unless_another_is_given() -> None:
    directory = LEGACY / "ctc_tuned"
    config = {"task": {"type": "ctc"}, "init": str(directory)}
    decoder = complete_from_model(config)["decoder"]
    assert (decoder["type"], decoder["lm_weight"], decoder["lm"]) == ("beam", 0.5, str(directory / "lm.arpa"))
    assert complete_from_model({**config, "decoder": {"beam": 3}})["decoder"] == decoder | {"beam": 3}
    bare = {"task": {"type": "ctc"}, "init": str(LEGACY / "ctc_text")}
    assert complete_from_model(bare)["decoder"] == {"type": "greedy", "head": "text"}
    assert complete_from_model({**bare, "decoder": {"beam": 3}})["decoder"] == {
        "type": "beam",
        "head": "text",
        "beam": 3,
    }
    greedy = complete_from_model({**config, "decoder": {"type": "greedy"}})["decoder"]
    assert greedy == {"head": "text", "type": "greedy"}


def test_a_configuration_with_heads_is_left_alone(tiny_config: Any, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path, init="/none")
    assert complete_from_model(config) == config


# -- adapting


def test_heads_without_data_and_texts_that_cannot_be_written(
    asr: Asr, two_heads: Path, own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = adapt(asr, two_heads, own, tmp_path / "run", "optimizer.lr=0.01")
    assert outcome.status == 0, outcome.err
    assert "head text: 2 of 6 training utterances are left out, as the vocabulary lacks '5' (U+0035) " in caplog.text
    assert "'%' (U+0025) (1, first in train3), 'é' (U+00E9) (1, first in train4); write them as " in caplog.text
    assert "head text: 2 of 6 dev utterances count as errors" in caplog.text
    assert "head phones: no training utterance has phones (`asr prepare --lexicon FILE` makes phones of" in caplog.text
    assert "train: 4 utterances" in caplog.text and "dev: 6 utterances" in caplog.text
    before, after = (store.load(run / "model", CTCTask) for run in (two_heads, tmp_path / "run"))
    for head in before.vocabularies:
        assert after.vocabularies[head] == before.vocabularies[head]
    old, new = before.state_dict(), after.state_dict()
    assert torch.equal(old["heads.phones.weight"], new["heads.phones.weight"])
    assert torch.equal(old["features.normalization.mean"], new["features.normalization.mean"])
    for name in ("heads.text.weight", "encoder.rnn.forwards.0.weight_hh_l0"):
        assert not torch.equal(old[name], new[name])
    figures = json.loads((tmp_path / "run" / "model" / "metrics.json").read_text())
    assert list(figures["dev"]["train"]) == ["text"] and figures["dev"]["train"]["text"]["utterances"] == 6
    assert Recognizer.load(tmp_path / "run" / "model", head="phones").head == "phones"


def test_a_resumed_run_equals_an_uninterrupted_one(asr: Asr, two_heads: Path, own: Path, tmp_path: Path) -> None:
    for run, epochs, resume in (("whole", 2, "none"), ("parts", 1, "none"), ("parts", 2, "auto")):
        outcome = adapt(
            asr,
            two_heads,
            own,
            tmp_path / run,
            "optimizer.schedule=null",
            f"trainer.epochs={epochs}",
            f"resume={resume}",
        )
        assert outcome.status == 0, outcome.err
    whole, parts = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt")["state_dict"] for run in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_every_kind_of_vocabulary_is_kept(asr: Asr, tmp_path: Path) -> None:
    """A model of an earlier version with characters, phones, SentencePiece units, and characters between spaces."""
    outcome = adapt(asr, LEGACY / "ctc_text", INPUTS, tmp_path / "run", "trainer.epochs=1")
    assert outcome.status == 0, outcome.err
    for file in sorted((LEGACY / "ctc_text").glob("vocabulary*.txt")):
        assert Vocabulary.load(tmp_path / "run" / "model" / file.name) == Vocabulary.load(file)
    adapted = tmp_path / "run" / "model"
    again = adapt(asr, adapted, INPUTS, tmp_path / "again", "trainer.epochs=1")
    assert again.status == 0, again.err


def test_a_tuned_decoder_is_kept_and_tuning_again_is_proposed(
    asr: Asr, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = adapt(asr, LEGACY / "ctc_tuned", INPUTS, tmp_path / "run", "trainer.epochs=1")
    assert outcome.status == 0, outcome.err
    model = tmp_path / "run" / "model"
    assert read_config(model)["decoder"]["lm"] == "lm.arpa" and (model / "lm.arpa").is_file()
    assert (model / "neural_lm" / "config.yaml").is_file()
    assert (
        f"the decoder's weights are those of the model before; fit them: asr tune {tmp_path / 'run'} DEV" in caplog.text
    )


def test_a_vocabulary_can_be_kept_by_any_recipe(tmp_path: Path, tiny_config: Any, two_heads: Path, own: Path) -> None:
    file = two_heads / "model" / "vocabulary.txt"
    heads = {"text": {"kind": "characters", "vocabulary": str(file)}}
    changes = {"task": {"type": "ctc", "heads": heads}, "trainer.epochs": 1}
    with pytest.raises(InputError, match=r"utterance train3: characters outside the vocabulary: '5'"):
        train(tiny_config(tmp_path / "run", own, **changes))
    train(tiny_config(tmp_path / "run", own, **changes, **{"data.unknown_text": "skip"}))
    assert Vocabulary.load(tmp_path / "run" / "model" / "vocabulary.txt") == Vocabulary.load(file)
    heads["text"]["kind"] = "phones"
    with pytest.raises(InputError, match=r"vocabulary\.txt: of characters, where task\.heads\.text\.kind is phones"):
        train(tiny_config(tmp_path / "other", own, **changes))


# -- wrong models and data


def test_init_is_missing_or_not_a_recognizer(asr: Asr, own: Path, tmp_path: Path) -> None:
    files = (f"data.train={own}", f"data.dev={own}", f"run_dir={tmp_path / 'run'}")
    asr("train", RECIPE, *files).check_refusal(r"init names no model to adapt: set init=MODEL")
    adapt(asr, tmp_path / "none", own, tmp_path / "run").check_refusal("none: no such model directory")
    adapt(asr, own.parent, own, tmp_path / "run").check_refusal(r"not a model directory \(no config\.yaml in it\)")
    message = r"init=\S+language: a model of type language; this recipe adapts those of type ctc"
    adapt(asr, LEGACY / "language", own, tmp_path / "run").check_refusal(message)
    assert not (tmp_path / "run").exists()


def test_settings_that_the_model_gives_are_changed_by_a_plus(
    asr: Asr, tone_run: Path, own: Path, tmp_path: Path
) -> None:
    message = r"this recipe takes encoder from the model of init; to change it: \+encoder\.dropout=0\.2$"
    adapt(asr, tone_run, own, tmp_path / "run", "encoder.dropout=0.2").check_refusal(message)
    assert adapt(asr, tone_run, own, tmp_path / "run", "+encoder.dropout=0.2", "trainer.epochs=1").status == 0
    assert read_config(tmp_path / "run" / "model")["encoder"]["dropout"] == 0.2


def test_no_dev_data_and_no_usable_text(
    asr: Asr, tone_run: Path, own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asr("train", RECIPE, f"init={tone_run}", f"data.train={own}", f"run_dir={tmp_path / 'run'}").check_refusal(
        r"data\.dev names no manifest; `asr prepare folder RECORDINGS --output DIR --dev 10%` writes"
    )
    cuts = manifest.read(own)
    for cut in cuts:
        cut.supervisions[0].text = "50 %"
    manifest.write(cuts, tmp_path / "numbers.jsonl")
    outcome = adapt(asr, tone_run, tmp_path / "numbers.jsonl", tmp_path / "run")
    outcome.check_refusal(r"head text: no training utterance has characters that it can write")
    files = (f"data.train={own}", f"data.dev={tmp_path / 'numbers.jsonl'}", f"run_dir={tmp_path / 'run'}")
    outcome = asr("train", RECIPE, f"init={tone_run}", *files, *FAST)
    outcome.check_refusal(r"data\.dev: no utterance has a text that the model can write")
    assert "6 of 6 training utterances are left out" in caplog.text


def test_an_adapted_model_writes_as_the_one_before() -> None:
    writing = complete_from_model({"init": "english", "task": {}})["writing"]
    assert writing["numbers"] == "english" and Path(writing["punctuation"]).is_file()


# -- a part alone


def test_only_a_part_is_trained(two_heads: Path, own: Path, asr: Asr, tmp_path: Path) -> None:
    adapt(asr, two_heads, own, tmp_path / "run", "trainer.only=heads.text")
    before, after = (store.load(run / "model", CTCTask).state_dict() for run in (two_heads, tmp_path / "run"))
    assert {name for name in before if not before[name].equal(after[name])} == {"heads.text.weight", "heads.text.bias"}


def test_a_part_that_is_not_there_is_refused(two_heads: Path, own: Path, asr: Asr, tmp_path: Path) -> None:
    result = adapt(asr, two_heads, own, tmp_path / "run", "trainer.only=heads.words")
    assert result.status == 1 and "trainer.only=heads.words" in result.err and "heads.text" in result.err
