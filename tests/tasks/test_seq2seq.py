"""Seq2seq tasks: loss and search against plain loops, batches against single inputs, wrong options."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.data.batch import pad
from asr.decoding.label.beam import LabelBeamOptions
from asr.errors import InputError
from asr.models import store
from asr.tasks.encoder_decoder import search
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.vocabulary import EOS, UNKNOWN, Vocabulary

TARGET = Vocabulary.phones(["ah", "b", "k"], specials=(EOS,))
SOURCE = Vocabulary.characters("abc", specials=())
CONFIG: dict[str, Any] = {
    "task": {"type": "seq2seq", "heads": {"target": {"kind": "phones"}, "source": {"kind": "characters"}}},
    "encoder": {"type": "rnn", "hidden_size": 8, "num_layers": 2},
    "label_rnn": {"type": "label_rnn", "embedding_size": 6, "hidden_size": 10, "num_layers": 2},
    "search": {"type": "beam", "beam": 4, "max_length": 3},
}
Make = Callable[..., Seq2SeqTask]


@pytest.fixture(params=[True, False], ids=["attention", "plain"])
def make(request: pytest.FixtureRequest) -> Make:
    """``make(target=…, **task)``: an untrained task whose probabilities are uneven."""

    def make(target: Vocabulary = TARGET, **options: Any) -> Seq2SeqTask:
        torch.manual_seed(3)
        config = copy.deepcopy(CONFIG)
        config["task"] |= {"attention": request.param, **options}
        task = store.make_task(config, {"target": target, "source": SOURCE})
        assert isinstance(task, Seq2SeqTask)
        torch.nn.init.normal_(task.network.output.weight, std=1.0)
        return task.eval()

    return make


def batch(*texts: str) -> tuple[torch.Tensor, torch.Tensor]:
    return pad([torch.tensor(SOURCE.encode(text)) for text in texts])


@torch.no_grad()
def log_prob(task: Seq2SeqTask, text: str, labels: tuple[int, ...]) -> float:
    """Of a whole label sequence, label by label."""
    state, last, total = task.encode_state(*batch(text)), task.eos, 0.0
    for label in (*labels, task.eos):
        log_probs, state = task.network.step(state, torch.tensor([last]))
        total += float(log_probs[0, label])
        last = label
    return total


def test_a_batch_gives_what_single_inputs_give(make: Make) -> None:
    task = make()
    texts = ["abcab", "c", "ba"]
    labels = torch.tensor([[task.eos, 1, 2, 3]] * 3)
    together = task(*batch(*texts), labels)
    alone = torch.cat([task(*batch(text), labels[:1]) for text in texts])
    torch.testing.assert_close(together, alone)
    hypotheses = search([task], *batch(*texts))
    assert [best.labels for best, *_ in hypotheses] == [search([task], *batch(text))[0][0].labels for text in texts]


def test_the_loss_equals_a_loop(make: Make) -> None:
    task = make()
    labels, ends = torch.tensor([[0, 1, 2, 0], [0, 3, 0, 0]]), torch.tensor([3, 2])
    loss = task.loss(*batch("ab", "cab"), labels, ends)
    expected = -(log_prob(task, "ab", (1, 2)) + log_prob(task, "cab", (3,))) / 5
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_label_smoothing_is_for_training_only(make: Make) -> None:
    plain, smooth = make(), make(label_smoothing=0.1)
    arguments = (*batch("ab"), torch.tensor([[0, 1, 2, 0]]), torch.tensor([3]))
    assert smooth.loss(*arguments) == plain.loss(*arguments)
    log_probs = plain(*arguments[:2], arguments[2][:, :-1])
    expected = 0.9 * plain.loss(*arguments) - 0.1 * log_probs.mean()
    torch.testing.assert_close(smooth.train().loss(*arguments), expected)


def test_a_wide_search_finds_the_best_of_all_sequences(make: Make) -> None:
    task = make()
    every = [labels for length in range(4) for labels in itertools.product((1, 2, 3), repeat=length)]
    best = sorted(((log_prob(task, "cab", labels), labels) for labels in every), reverse=True)
    hypotheses = search([task], *batch("cab"), LabelBeamOptions(beam=100, nbest=10, max_length=3))[0]
    assert [h.labels for h in hypotheses] == [labels for _, labels in best[:10]]
    assert [h.score for h in hypotheses] == pytest.approx([score for score, _ in best[:10]], abs=1e-4)


def test_a_beam_of_one_is_greedy(make: Make) -> None:
    task = make()
    (best,), *_ = search([task], *batch("abc"), LabelBeamOptions(beam=1, max_length=20))
    labels: list[int] = []
    state, last = task.encode_state(*batch("abc")), task.eos
    while len(labels) < 20:
        log_probs, state = task.network.step(state, torch.tensor([last]))
        if (last := int(log_probs.argmax())) == task.eos:
            break
        labels.append(last)
    assert best.labels == tuple(labels)


def test_unknown_is_never_generated(make: Make) -> None:
    vocabulary = Vocabulary.phones(["ah", "b"], unknown="map", specials=(EOS,))
    task = make(vocabulary)
    with torch.no_grad():
        task.network.output.bias[vocabulary.tokens.index(UNKNOWN)] = 50.0
    (best,), *_ = search([task], *batch("abc"), LabelBeamOptions(beam=2, min_length=2, max_length=5))
    assert len(best.labels) >= 2 and vocabulary.tokens.index(UNKNOWN) not in best.labels


def test_an_ensemble_averages_log_probabilities(make: Make) -> None:
    task = make()
    other = copy.deepcopy(task)
    torch.nn.init.normal_(other.network.output.weight, std=1.0)
    options = LabelBeamOptions(beam=100, max_length=3)
    mean = {
        labels: (log_prob(task, "ab", labels) + log_prob(other, "ab", labels)) / 2
        for length in range(4)
        for labels in itertools.product((1, 2, 3), repeat=length)
    }
    (best,), *_ = search([task, other], *batch("ab"), options)
    assert best.labels == max(mean, key=mean.__getitem__)
    stranger = make(Vocabulary.phones(["ah", "b"], specials=(EOS,)))
    with pytest.raises(InputError, match="same vocabulary"):
        search([task, stranger], *batch("ab"), options)


def test_a_model_directory_gives_the_same_task_back(make: Make, tmp_path: Path) -> None:
    task = make()
    config = copy.deepcopy(CONFIG)
    config["task"]["attention"] = task.network.key is not None
    store.save(task, tmp_path / "model", config)
    loaded = store.load(tmp_path / "model", Seq2SeqTask)
    assert loaded.vocabularies == task.vocabularies and loaded.options == replace(
        LabelBeamOptions(), beam=4, max_length=3
    )
    assert search([loaded], *batch("cab")) == search([task], *batch("cab"))


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (Vocabulary.phones(["ah"]), {}, "needs the label <eos>"),
        (TARGET, {"label_smoothing": 1.0}, "label_smoothing=1.0"),
        (TARGET, {"depth": 2}, "no option depth"),
    ],
)
def test_wrong_options(make: Make, target: Vocabulary, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(target, **options)
