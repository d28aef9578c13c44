"""The second pass: scores of whole texts by a language model, and the order that they give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from asr.errors import InputError
from asr.evaluation.tune import default_values
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.decoders.rescoring import Rescoring
from asr.lm import arpa, files
from asr.lm.estimate import encode_sentences, kneser_ney
from asr.models import decoder_files, store
from asr.modules.label_rnn import LabelRNN
from asr.tasks.language import LanguageTask
from asr.text.vocabulary import EOS, Vocabulary
from asr.utils import precision

TEXT = ["the cat sat", "the dog sat", "a cat", "the cat ran", "a dog ran", "the cats"]
CHARACTERS = Vocabulary.characters(TEXT)


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep products in float32, so that scores are exact on every processor."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: False)


def language_model(path: Path, vocabulary: Vocabulary) -> Path:
    """Write an untrained language model."""
    torch.manual_seed(0)
    network = LabelRNN(len(vocabulary), embedding_size=4, hidden_size=6)
    for parameter in network.parameters():
        parameter.data *= 5  # so that texts differ
    config: dict[str, Any] = {"task": {"type": "language", "heads": {"text": {}}}}
    config["label_rnn"] = {"type": "label_rnn", "embedding_size": 4, "hidden_size": 6}
    store.save(LanguageTask({"text": vocabulary}, network), path, config)
    return path


@pytest.fixture(params=["characters", "units"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "characters":
        return language_model(tmp_path / "network", Vocabulary.characters(TEXT, specials=(EOS,)))
    return language_model(tmp_path / "network", Vocabulary.train_sentencepiece(TEXT, 14, specials=(EOS,)))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    arpa.write(kneser_ney(encode_sentences([line.split() for line in TEXT]), 2), tmp_path / "lm.arpa")
    return {"type": "beam", "beam": 200, "lm": str(tmp_path / "lm.arpa"), "lm_weight": 0.8, "word_bonus": 0.4}


@pytest.fixture
def log_probs() -> np.ndarray:
    return np.log(np.random.default_rng(0).dirichlet(np.ones(len(CHARACTERS)) / 3, (2, 14)))


def test_texts_are_scored_as_one_by_one(network: Path) -> None:
    task = store.load(network, LanguageTask)
    texts = ["the cat sat", "the cat ran", "", "the cat", "a dog ran", "the cat sat"]
    scored = Rescoring(task).log_probs(texts)
    for text, score in zip(texts, scored, strict=True):
        labels = [task.eos, *task.vocabulary.encode(text), task.eos]
        assert score == pytest.approx(-task.loss(torch.tensor([labels]))[0].item() * (len(labels) - 1), rel=1e-5)


@pytest.mark.usefixtures("bfloat16")
def test_scores_in_bfloat16_are_near(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rescoring = Rescoring(store.load(network, LanguageTask))
    texts = ["the cat sat", "a dog", "the cats"]
    exact = rescoring.log_probs(texts)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: True)
    near = rescoring.log_probs(texts)
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, rtol=2e-2)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_scores_and_order(network: Path, options: dict[str, Any], log_probs: np.ndarray, share: float) -> None:
    """The share of the n-gram model's part in a score goes from that model to the network."""
    lengths = np.array([14, 11])
    before = make_decoder(CHARACTERS, {**options, "nbest": 30})
    second = {"rescoring_lm": str(network), "rescoring_weight": share, "rescoring_nbest": 30}
    after = make_decoder(CHARACTERS, {**options, **second, "nbest": 4})
    task, ngram = store.load(network, LanguageTask), files.read(options["lm"])
    for first_pass, found in zip(before.search(log_probs, lengths), after.search(log_probs, lengths), strict=True):
        assert len(first_pass) > 10 and len(found) == 4
        texts = [before.text(hypothesis) for hypothesis in first_pass]
        by_network = Rescoring(task).log_probs(texts)
        by_ngram = np.array([ngram.log_probs(text.split()).sum() for text in texts])
        expected = np.array([hypothesis.score for hypothesis in first_pass]) + 0.8 * share * (by_network - by_ngram)
        order = np.argsort(-expected)[:4]
        assert [after.text(hypothesis) for hypothesis in found] == [texts[number] for number in order]
        np.testing.assert_allclose([hypothesis.score for hypothesis in found], expected[order], rtol=1e-5)
        assert found[0].model_score - first_pass[order[0]].model_score == pytest.approx(
            found[0].score - first_pass[order[0]].score
        )


def test_the_order_changes(network: Path, options: dict[str, Any], log_probs: np.ndarray) -> None:
    """The tests above would not see a network that agrees with the n-gram model."""
    second = {"rescoring_lm": str(network), "rescoring_weight": 1.0, "rescoring_nbest": 30}
    decoders = [make_decoder(CHARACTERS, options), make_decoder(CHARACTERS, {**options, **second})]
    first, other = ([d.text(h) for h, *_ in d.search(log_probs, np.array([14, 14]))] for d in decoders)
    assert first != other


def test_a_recording_in_pieces_gives_the_same(network: Path, options: dict[str, Any], log_probs: np.ndarray) -> None:
    decoder = make_decoder(CHARACTERS, {**options, "nbest": 3, "rescoring_lm": str(network)})
    (expected,) = decoder.search(log_probs[:1], np.array([14]))
    with ThreadPoolExecutor(2) as pool:
        for search in decoder.start(), decoder.start(pool):
            search.feed(log_probs[0, :5].astype(np.float32))
            search.feed(log_probs[0, 5:].astype(np.float32))
            found = search.finish()
            assert [hypothesis.labels for hypothesis in found] == [hypothesis.labels for hypothesis in expected]


def test_the_first_pass_alone(network: Path, options: dict[str, Any], log_probs: np.ndarray) -> None:
    """Live recognition reads without the second pass; other decoders have none."""
    plain = make_decoder(CHARACTERS, options)
    decoder = make_decoder(CHARACTERS, {**options, "rescoring_lm": str(network)})
    (expected,) = plain.search(log_probs[:1], np.array([14]))
    assert decoder.first_pass.search(log_probs[:1], np.array([14])) == [expected]
    assert make_decoder(CHARACTERS, {"type": "greedy"}).first_pass.vocabulary is CHARACTERS


def test_the_share_is_tuned(network: Path, options: dict[str, Any]) -> None:
    decoder = cast(BeamDecoder, make_decoder(CHARACTERS, {**options, "rescoring_lm": str(network)}))
    assert decoder.weights["rescoring_weight"] == 0.5 and "rescoring_weight" in default_values(decoder)
    assert decoder.with_weights(rescoring_weight=0.2).weights["rescoring_weight"] == 0.2
    assert "rescoring_weight" not in default_values(cast(BeamDecoder, make_decoder(CHARACTERS, options)))


def test_a_model_directory_takes_it_in(network: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert decoder_files.copy_decoder_files({"rescoring_lm": str(network)}, tmp_path / "model") == {
        "rescoring_lm": "rescoring_lm"
    }
    store.load(tmp_path / "model" / "rescoring_lm", LanguageTask)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lm": None}, "rescoring_lm takes a share of the n-gram model's score: give lm as well"),
        ({"rescoring_weight": 1.5}, "rescoring_weight=1.5: use a number from 0 to 1"),
        ({"rescoring_weight": float("nan")}, "rescoring_weight=nan: use a finite number"),
        ({"rescoring_nbest": 0}, "rescoring_nbest=0: use a whole number of at least 1"),
        ({"rescoring_lm": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_options(network: Path, options: dict[str, Any], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_decoder(CHARACTERS, {**options, "rescoring_lm": str(network), **wrong})
