"""Training by reward: its gradient against the expectation over all sequences, and its effect."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch

from asr.data.batch import pad
from asr.data.pairs import Seq2SeqBatch
from asr.errors import InputError
from asr.models import store
from asr.tasks.encoder_decoder import reward_loss
from asr.tasks.seq2seq import Seq2SeqTask
from asr.text.vocabulary import EOS, UNKNOWN, Vocabulary

TARGET = Vocabulary.phones(["ah", "b"], specials=(EOS, UNKNOWN))
SOURCE = Vocabulary.characters("abc", specials=())
REWARDS = {"ah b": 3.0, "b": 1.0, "": -1.0}


def make(samples: int) -> Seq2SeqTask:
    """An untrained task that generates at most two labels, with dropout, which must have no effect."""
    torch.manual_seed(3)
    config = {
        "task": {"type": "seq2seq", "samples": samples, "heads": {}},
        "encoder": {"type": "rnn", "hidden_size": 8, "num_layers": 1, "dropout": 0.5},
        "label_rnn": {"type": "label_rnn", "embedding_size": 6, "hidden_size": 10, "num_layers": 1, "dropout": 0.5},
        "search": {"type": "beam", "beam": 4, "max_length": 2},
    }
    task = store.make_task(config, {"target": TARGET, "source": SOURCE})
    assert isinstance(task, Seq2SeqTask)
    task.reward = reward
    return task


def batch(*texts: str) -> Seq2SeqBatch:
    inputs, lengths = pad([torch.tensor(SOURCE.encode(text)) for text in texts])
    unused = torch.zeros(len(texts), 1, dtype=torch.long)
    return Seq2SeqBatch(texts, inputs, lengths, unused, unused[:, 0], [["ah b"]] * len(texts))


def reward(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    assert references == ["ah b"]
    return [REWARDS.get(text, 0.0) for text in hypotheses]


def probabilities(task: Seq2SeqTask, text: str) -> dict[str, torch.Tensor]:
    """Probabilities of all sequences that can be generated; the suppressed label <unk> has none."""
    only = batch(text)
    suppressed = torch.tensor(task.suppressed_labels)
    others = [label for label in range(len(TARGET)) if label not in (task.eos, *task.suppressed_labels)]
    by_text = {}
    for length in range(3):
        for labels in itertools.product(others, repeat=length):
            state, last, total = task.encode_state(only.inputs, only.lengths), task.eos, torch.zeros(())
            for label in (*labels, task.eos)[:2]:
                log_probs, state = task.network.step(state, torch.tensor([last]))
                total = total + log_probs.index_fill(1, suppressed, -torch.inf).log_softmax(1)[0, label]
                last = label
            by_text[TARGET.decode(labels)] = total.exp()
    return by_text


def test_the_gradient_equals_that_of_the_expected_reward() -> None:
    task = make(samples=3000).eval()
    bias = task.network.output.bias
    with torch.no_grad():
        bias[task.suppressed_labels[0]] = -20.0  # else its own probability would have a part in the gradient
    texts = ("ab", "c")
    by_input = [probabilities(task, text) for text in texts]
    for by_text in by_input:
        assert sum(p.item() for p in by_text.values()) == pytest.approx(1, abs=1e-5)
    expected = [torch.stack([p * REWARDS.get(text, 0.0) for text, p in by_text.items()]).sum() for by_text in by_input]
    lengths = [sum(p.item() * min(len(text.split()) + 1, 2) for text, p in by_text.items()) for by_text in by_input]
    (expected_gradient,) = torch.autograd.grad(-torch.stack(expected).sum() / sum(lengths), bias)
    torch.manual_seed(1)
    loss = reward_loss(task, batch(*texts))
    (gradient,) = torch.autograd.grad(loss.value, bias)
    torch.testing.assert_close(gradient, expected_gradient, atol=0.02, rtol=0)
    assert expected_gradient.abs().max() > 0.1  # well above the tolerance
    assert loss.logs["train_reward"] == pytest.approx(sum(e.item() for e in expected) / 2, abs=0.1)
    assert all(module.training for module in task.modules())


def test_sequences_with_a_reward_become_likely() -> None:
    task = make(samples=8)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.05)
    for _ in range(40):
        loss = reward_loss(task, batch("ab", "c", "ba"))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
    assert all(probabilities(task.eval(), text)["ah b"] > 0.9 for text in ("ab", "c", "ba"))


@pytest.mark.parametrize("samples", [1, -2, 2.5])
def test_wrong_numbers_of_samples(samples: float) -> None:
    with pytest.raises(InputError, match=f"samples={samples}"):
        make(samples=samples)  # type: ignore[arg-type]
