"""Seq2seq models: trained on a few pairs, scored, used for pronunciations; wrong settings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.decoding.hypothesis import Hypothesis
from asr.errors import InputError
from asr.evaluation.seq2seq import error_rates
from asr.inference.decoders.factory import lexicon_for, make_aligner, make_decoder
from asr.inference.pronouncer import Pronouncer
from asr.lm import arpa
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.models import decoder_files, store
from asr.text.vocabulary import Vocabulary
from asr.training.run import train

# c is k before a and s before i: labels depend on their context
PAIRS = {
    "ca": ["k aa1"],
    "ci": ["s iy1"],
    "cab": ["k aa1 b"],
    "bac": ["b aa1 k"],
    "cica": ["s iy1 k aa0", "s iy0 k aa1"],
    "bib": ["b iy1 b"],
    "abba": ["aa1 b aa0"],
    "ib": ["iy1 b"],
}
PHONES = Vocabulary.phones(["aa", "b", "iy", "k", "s"])
Config = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def pair_config(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{word}\t{phones}\n" for word, targets in PAIRS.items() for phones in targets))

    def make(run_dir: Path, **changes: Any) -> dict[str, Any]:
        config = tiny_config(run_dir, path)
        for group in ("features", "augmentation", "decoder"):
            del config[group]
        config["task"] = {
            "type": "seq2seq",
            "attention": True,
            "heads": {"phones": {"kind": "phones"}, "spelling": {"kind": "characters"}},
        }
        config["encoder"] = {"type": "rnn", "hidden_size": 16, "num_layers": 1}
        config["label_rnn"] = {"type": "label_rnn", "embedding_size": 8, "hidden_size": 32}
        config["search"] = {"type": "beam", "beam": 3, "max_length": 8}
        config["data"] = {"train": str(path), "dev": str(path), "test": str(path), "labels": 40}
        for key, value in changes.items():
            group, name = key.split(".")
            config[group][name] = value
        return config

    return make


@pytest.fixture(scope="module")
def run(pair_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("pair_run")
    train(pair_config(run_dir, **{"trainer.epochs": 50}))
    return run_dir


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    path = tmp_path / "lexicon.txt"
    path.write_text("ca K AA1\nci S IY1\n")
    return path


def test_pairs_are_memorized(run: Path) -> None:
    figures = json.loads((run / "model" / "metrics.json").read_text())
    assert figures["training"]["pairs"] == 9
    for split in ("dev", "test"):
        assert figures[split]["sequences"] == 8
        assert figures[split]["label_error"] == figures[split]["sequence_error_without_stress"] == 0
    assert "with attention" in (run / "model" / "README.md").read_text()


def test_training_without_attention(pair_config: Config, tmp_path: Path) -> None:
    figures = train(pair_config(tmp_path, **{"task.attention": False, "trainer.epochs": 60}))
    assert figures["dev"]["label_error"] == 0


def test_a_batch_gives_what_single_words_give(run: Path) -> None:
    loaded = Pronouncer.load(run)
    together = dict(loaded.pronounce_all(list(PAIRS), nbest=3))
    for index, word in enumerate(PAIRS):
        pronunciations = together[index]
        assert not isinstance(pronunciations, InputError)
        alone = loaded.pronounce(word, nbest=3)
        assert [w.text for w in alone] == [w.text for w in pronunciations]
        assert [w.score for w in alone] == pytest.approx([w.score for w in pronunciations], abs=1e-4)
        assert pronunciations[0].text in PAIRS[word]


@pytest.mark.parametrize(
    ("hypotheses", "references", "expected"),
    [
        (["k aa1"], [["k aa1"]], (0, 0, 0, 0)),
        (["k aa0"], [["k aa1"]], (1 / 2, 1, 0, 0)),
        (["k aa0", "b"], [["b iy1 b", "k aa1"], ["b"]], (1 / 3, 1 / 2, 0, 0)),
        (["k", ""], [["k aa1"], ["b b"]], (3 / 4, 1, 3 / 4, 1)),
    ],
)
def test_the_nearest_reference_counts(
    hypotheses: list[str], references: list[list[str]], expected: tuple[float, ...]
) -> None:
    figures = error_rates(Vocabulary.phones(["k", "b", "aa0", "aa1", "iy1"]), hypotheses, references)
    names = ("label_error", "sequence_error", "label_error_without_stress", "sequence_error_without_stress")
    assert tuple(figures[name] for name in names) == pytest.approx(expected)


def test_the_command(run: Path, asr: Callable[..., Any], tone_run: Path) -> None:
    outcome = asr("pronounce", "cab", "ib", "--model", run)
    assert (outcome.status, outcome.out) == (0, "cab\tk aa1 b\nib\tiy1 b\n")
    outcome = asr("pronounce", "-", "--model", run, "--model", run, "--nbest", "2", "--json", stdin=b"cab\n\n ib \n")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line["source"] for line in lines] == ["cab", "ib"]
    assert all(line["written"][0]["score"] > line["written"][1]["score"] for line in lines)
    outcome = asr("pronounce", "xyz", "cab", " ", "--model", run)
    assert (outcome.status, outcome.out) == (1, "cab\tk aa1 b\n")
    first, second, last = outcome.err.splitlines()
    assert (
        "xyz" in first
        and "the model cannot read" in first
        and "'x'" in first
        and "nothing to pronounce" in second
        and last == "asr: 2 of 3 words failed"
    )
    assert asr("pronounce", "xyz", "--model", run).status == 1
    asr("pronounce", "ca", "--model", tone_run).check_refusal("a speech recognizer; a seq2seq model is needed")


def test_evaluate(run: Path, tmp_path: Path, asr: Callable[..., Any], tone_run: Path) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("ca\tk aa1\nib\tb b\n")
    outcome = asr("evaluate", run, other, "--ensemble", run, "--beam", "1", "--json", tmp_path / "figures.json")
    assert outcome.out == (
        f"{other}: 2 sequences: label error 25.00 [0.00, 50.00] %, sequence error 50.00 [0.00, 100.00] %, "
        "label error without stress 25.00 [0.00, 50.00] %, sequence error without stress 50.00 [0.00, 100.00] %\n"
        "[…]: 95 % confidence interval; bootstrap, 2000 samples of sequences\n"
    )
    assert json.loads((tmp_path / "figures.json").read_text())[str(other)]["sequences"] == 2
    asr("evaluate", run, other, "--decoder", "width=2").check_refusal("search has no option width; it has beam, ")
    asr("evaluate", run, other, "--decoder", "beam=x").check_refusal("search.beam=.x.: expected a whole number")
    asr("evaluate", run, other, "--lm", other).check_refusal("search has no option lm")
    asr("evaluate", run, other, "--html", tmp_path / "x.html").check_refusal(
        "a model of type seq2seq has no option html"
    )
    refused = asr("evaluate", tone_run, other, "--ensemble", run)
    refused.check_refusal("ensembles are for captioners and seq2seq models")


def test_words_that_a_lexicon_lacks_are_pronounced(run: Path, lexicon: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    entries = lexicon_for(["ca", "cab", "éé", "cab"], lexicon, run)
    assert entries == {"ca": [("k", "aa")], "ci": [("s", "iy")], "cab": [("k", "aa", "b")]}
    assert "2 words that the dictionary lacks" in caplog.text and "cannot be pronounced: éé" in caplog.text
    assert lexicon_for(["ib"], None, run) == {"ib": [("iy", "b")]}
    assert lexicon_for(["ib"], None, run, keep_stress=True) == {"ib": [("iy1", "b")]}


def spoken(labels: list[int]) -> np.ndarray:
    """Scores (1, T, V) of phones without any doubt, with a blank after each."""
    frames = [frame for label in labels for frame in (label, 0)]
    scores = np.full((1, len(frames), len(PHONES)), -9.0, dtype=np.float32)
    scores[0, np.arange(len(frames)), frames] = -0.01
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


def test_the_search_finds_generated_pronunciations(run: Path, lexicon: Path, tmp_path: Path) -> None:
    arpa.write(kneser_ney(encode_sentences([["ca", "cab"], ["cab"]]), 2), tmp_path / "lm.arpa")
    options = {"type": "beam", "beam": 20, "lm": str(tmp_path / "lm.arpa"), "lexicon": str(lexicon)}
    scores = spoken(PHONES.encode("k aa b"))
    lengths = np.array([scores.shape[1]])

    def decode(**more: str) -> str:
        decoder = make_decoder(PHONES, options | more)
        best: Hypothesis = decoder.search(scores, lengths)[0][0]
        return decoder.text(best)

    assert decode() == "ca" and decode(pronouncer=str(run)) == "cab"
    # a model directory has its own copy
    copied = decoder_files.copy_decoder_files({"pronouncer": str(run)}, tmp_path / "model")
    assert copied == {"pronouncer": "pronouncer"}
    assert decode(pronouncer=str(tmp_path / "model" / "pronouncer")) == "cab"


def test_alignment_uses_generated_pronunciations(run: Path, lexicon: Path) -> None:
    aligner = make_aligner(PHONES, "ca bib", lexicon, run)
    alignment = aligner.align(spoken(PHONES.encode("k aa b iy b"))[0])
    assert aligner.words(alignment) == [("ca", 0, 2), ("bib", 2, 5)]
    (warning,) = make_aligner(PHONES, "ca bib", lexicon).warnings
    assert warning.startswith("1 words are not in the pronunciation dictionary") and warning.endswith("'bib'")
    with pytest.raises(InputError, match="for a head of phones"):
        make_aligner(Vocabulary.characters("abc "), "ca", None, run)


def test_a_model_aligns_with_its_own_pronouncer(
    run: Path, lexicon: Path, tmp_path: Path, asr: Callable[..., Any], tones: Any
) -> None:
    model, wav, text = tmp_path / "model", tmp_path / "a.wav", tmp_path / "a.txt"
    soundfile.write(wav, tones("ac cd ac"), 8000)
    text.write_text("ca bib")
    features = {"type": "filterbank", "sample_rate": 8000, "num_mels": 10, "normalization": "utterance"}
    config: dict[str, Any] = {
        "task": {"type": "ctc", "heads": {"phones": {"kind": "phones"}}},
        "features": features,
        "encoder": {"type": "rnn", "hidden_size": 4, "num_layers": 1},
        "decoder": {"type": "beam", "lexicon": str(lexicon)},
    }
    task = store.make_task(config, {"phones": PHONES})
    store.save(task, model, config, {}, "")
    without = json.loads(asr("align", wav, text, "--model", model).out)
    assert "'bib'" in without["warnings"][0]
    config["decoder"]["pronouncer"] = str(run)
    store.save(task, model, config, {}, "")
    outcome = asr("align", wav, text, "--model", model)
    assert outcome.status == 0, outcome.err
    assert [word["text"] for word in json.loads(outcome.out)["words"]] == ["ca", "bib"]


def test_a_pronouncer_alone_has_no_words(run: Path) -> None:
    with pytest.raises(InputError, match="a pronouncer needs words"):
        make_decoder(PHONES, {"type": "beam", "pronouncer": str(run)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.train": None}, "data.train=None: expected a path$"),
        ({"data.labels": 0}, "data.labels=0"),
        ({"task.heads": {"phones": {"kind": "phones"}}}, "task.heads: two heads are needed"),
        ({"search.beam": 0}, "beam=0"),
        ({"search.width": 3}, "beam has no option width"),
        ({"data.seconds": 3}, "data has no option seconds"),
    ],
)
def test_wrong_settings(pair_config: Config, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(pair_config(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
