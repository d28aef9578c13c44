"""`asr tune`: weights of the search on dev data, and the model directory that stores them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

import asr as asr_
from asr.data import manifest
from asr.data.speech_dataset import SpeechDataset
from asr.errors import InputError
from asr.evaluation.confidence import MIN_CONFIDENCES, store_scores
from asr.evaluation.tune import Trial, default_values, measure, tune
from asr.inference.decoders.beam import BeamDecoder
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.models import decoder_files


@pytest.fixture(scope="module")
def model(tone_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("tuned") / "model"
    shutil.copytree(tone_run / "model", copied)
    return copied


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory, tone_texts: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("lm") / "words.arpa.gz"
    arpa.write(kneser_ney(encode_sentences([text.split() for text in tone_texts(8)]), 2), path)
    return path


@pytest.fixture(scope="module")
def dev(tone_corpus: Any, tone_texts: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest_: Path = tone_corpus(tmp_path_factory.mktemp("dev"), tone_texts(4), "dev")
    return manifest_


def test_coordinate_descent(model: Path, lm: Path, dev: Path) -> None:
    loaded = asr_.load(model, decoder={"type": "beam", "beam": 7, "lm": lm})
    decoder = loaded.decoder
    assert isinstance(decoder, BeamDecoder)
    dataset = SpeechDataset(manifest.read(dev), {"text": decoder.scoring_vocabulary}, loaded.sample_rate, encode=False)
    advanced: list[float] = []
    stored = store_scores(loaded.task, dataset, "text", advanced.append)
    assert sum(advanced) == pytest.approx(sum(dataset.seconds))
    shown: list[Trial] = []
    values = {"lm_weight": (0.5, 5.0), "word_bonus": (-9.0, 0.0), "beam": (1, 7)}
    start = {"lm_weight": 0.5, "word_bonus": -9.0, "beam": 7}
    best, trials = tune(decoder, stored, start, values, shown.append)
    assert trials == shown and trials[0].weights == start
    assert len({tuple(trial.weights.items()) for trial in trials}) == len(trials)
    assert all(trial.reference == sum(len(text.split()) for text in decoder_texts(dev)) for trial in trials)
    every = [
        measure(
            decoder.with_weights(**dict(zip(values, chosen, strict=True))),
            stored,
            dict(zip(values, chosen, strict=True)),
        )
        for chosen in product(*values.values())
    ]
    assert best.errors == min(trial.errors for trial in every)
    assert decoder.weights["lm_weight"] == 0.7 and decoder.weights["character_weight"] is None


def decoder_texts(dev: Path) -> list[str]:
    return [manifest.text(cut) for cut in manifest.read(dev)]


def test_the_weights_to_tune_depend_on_the_models(model: Path, lm: Path) -> None:
    def names(options: Mapping[str, Any]) -> list[str]:
        decoder = asr_.load(model, decoder={"type": "beam", **options}).decoder
        assert isinstance(decoder, BeamDecoder)
        return list(default_values(decoder))

    assert names({}) == names({"hotwords": {"he": 1.0}}) == ["beam"]
    assert names({"lm": lm}) == ["lm_weight", "word_bonus", "beam"]
    loaded: Any = asr_.load(model, decoder={"type": "beam"}).decoder
    with pytest.raises(InputError, match="lm_weight: this decoder has no such model; it has beam"):
        loaded.with_weights(lm_weight=1.0)


def test_the_model_directory_stores_the_best_weights(
    asr: Callable[..., Any], model: Path, lm: Path, dev: Path, tmp_path: Path
) -> None:
    before = (model / "config.yaml").read_bytes()
    values = ["--values", "lm_weight=0.5,1", "--values", "word_bonus=0", "--values", "beam=5,10"]
    dry = asr("tune", model, dev, "--lm", lm, *values, "--dry-run")
    assert dry.status == 0, dry.err
    assert (model / "config.yaml").read_bytes() == before and not (model / "lm.arpa.gz").exists()
    outcome = asr("tune", model, dev, "--lm", lm, *values, "--picture", tmp_path / "p.svg")
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines()[0].split() == [
        "lm_weight",
        "word_bonus",
        "beam",
        "unknown_words",
        "WER",
        "%",
        "search",
        "/",
        "audio",
    ]
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    assert (model / "lm.arpa.gz").read_bytes() == lm.read_bytes()
    assert "confidence: expected calibration error" in outcome.out
    kept = yaml.safe_load((model / "config.yaml").read_text())["decoder"]
    assert len(kept["calibration"]) == 4 and min(kept["calibration"][2:]) >= 0
    assert kept["min_confidence"] in MIN_CONFIDENCES
    assert f"min_confidence {kept['min_confidence']:g}: WER " in outcome.out and "5 voices at once, " in outcome.out
    assert kept["type"] == "beam" and kept["lm"] == "lm.arpa.gz" and kept["head"] == "text" and kept["beam"] in (5, 10)
    decoder = asr_.load(model).decoder
    assert isinstance(decoder, BeamDecoder) and decoder.options.beam == kept["beam"]
    assert not isinstance(asr_.load(model, decoder={"type": "greedy"}).decoder, BeamDecoder)
    wider: Any = asr_.load(model, decoder={"beam": 77}).decoder
    assert wider.options.beam == 77 and wider.weights["lm_weight"] == kept["lm_weight"]
    again = asr("tune", model, dev, *values)  # with the model's own
    assert again.status == 0 and (model / "lm.arpa.gz").read_bytes() == lm.read_bytes()
    evaluated = asr("evaluate", model, dev, "--json", tmp_path / "figures.json")
    assert evaluated.status == 0
    assert list(json.loads((tmp_path / "figures.json").read_text())) == ["text"] or evaluated.out.startswith(
        "head text"
    )
    asr("tune", model, dev, "--values", "mu=1").check_refusal("the weights of a search are beam, lm_weight")
    asr("tune", model, dev, "--values", "beam=a").check_refusal("with numbers is needed")
    asr("tune", tmp_path, dev).check_refusal("not a model directory")


def test_decoder_options_are_for_their_head(tmp_path: Path) -> None:
    groups: dict[str, Any] = {
        "features": {},
        "encoder": {},
        "task": {"type": "ctc", "heads": {"text": {}, "phones": {}}},
    }

    def config(**decoder: Any) -> None:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(groups | {"decoder": decoder}, sort_keys=False))

    config()
    assert decoder_files.decoder_config(tmp_path) == ("text", {})
    assert decoder_files.decoder_config(tmp_path, {"beam": 3}, "phones") == ("phones", {"beam": 3})
    config(type="greedy", calibration=[0.5, 0.1])
    greedy = {"type": "greedy", "calibration": [0.5, 0.1]}
    assert decoder_files.decoder_config(tmp_path) == ("text", greedy)
    assert decoder_files.decoder_config(tmp_path, {"beam": 3}) == ("text", {"beam": 3})
    config(type="beam", head="phones", lm="lm.arpa", beam=9)
    own = {"type": "beam", "lm": str(tmp_path / "lm.arpa"), "beam": 9}
    assert (
        decoder_files.decoder_config(tmp_path)
        == decoder_files.decoder_config(tmp_path, {}, "phones")
        == ("phones", own)
    )
    assert decoder_files.decoder_config(tmp_path, {"beam": 3}) == ("phones", own | {"beam": 3})
    assert decoder_files.decoder_config(tmp_path, {}, "text") == ("text", {})
    assert decoder_files.decoder_config(tmp_path, {"type": "beam"}) == ("phones", {"type": "beam"})


def test_unknown_words_are_counted_and_tuned(
    asr: Callable[..., Any], model: Path, dev: Path, tmp_path: Path, tone_texts: Any
) -> None:
    small = tmp_path / "small.arpa"
    arpa.write(kneser_ney(encode_sentences([text.split() for text in tone_texts(4)[:2]]), 1), small)
    options = ["--lm", small, "--values", "lm_weight=0.5", "--values", "word_bonus=0", "--values", "beam=10"]
    plot = tmp_path / "x.svg"
    outcome = asr("tune", model, dev, *options, "--dry-run", "--picture", plot)
    assert outcome.status == 0, outcome.err
    assert "unknown_words" in outcome.out.splitlines()[0] and " none " in outcome.out
    words = [word for text in decoder_texts(dev) for word in text.split()]
    known = {word for text in tone_texts(4)[:2] for word in text.split()}
    missing = sum(word not in known for word in words)
    assert f"unknown words: {missing} of {len(words)} in the references" in outcome.out
    given = asr("tune", model, dev, *options, "--values", "unknown_words=-20,-8", "--dry-run")
    assert given.status == 0 and "-8" in given.out


def test_a_training_that_has_not_ended(asr: Callable[..., Any], dev: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    asr("evaluate", tmp_path / "run", dev).check_refusal("the training has not ended.*train on with resume=auto")
    asr("transcribe", dev, "--model", tmp_path / "run").check_refusal("the training has not ended")


def test_a_model_in_place_of_data(asr: Callable[..., Any], tone_run: Path, dev: Path) -> None:
    asr("evaluate", tone_run, tone_run, dev).check_refusal("a model, not data; models are compared by asr compare A B")


def test_the_card_and_the_description_have_the_tuned_figure(
    asr: Callable[..., Any], tone_run: Path, lm: Path, dev: Path, tmp_path: Path
) -> None:
    shutil.copytree(tone_run / "model", tmp_path / "model")
    for _ in range(2):  # the second replaces the first
        options = ["--lm", lm, "--values", "lm_weight=0.5", "--values", "word_bonus=0", "--values", "beam=5"]
        assert asr("tune", tmp_path / "model", dev, *options).status == 0
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Greedy decoding" not in card and card.count("The figures in the table are of greedy decoding. ") == 1
    assert card.count("## Tuned decoder") == 1 and "WER on the data that it was tuned on, dev.jsonl: " in card
    assert "tuned" in asr("info", tmp_path / "model").out
