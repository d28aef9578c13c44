"""Every recurrent cell in every system, by its name in the configuration and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from asr.data.batch import SpeechBatch, Targets, pad
from asr.data.caption_dataset import CaptionDataset, Grids
from asr.data.caption_manifest import CaptionedImage
from asr.data.pairs import PairDataset
from asr.data.text_stream import StreamBatch
from asr.decoding.label.beam import LabelBeamOptions
from asr.decoding.options import BeamOptions
from asr.decoding.transducer.beam import TransducerBeamSearch
from asr.models import store
from asr.modules.cells import CELLS
from asr.tasks.encoder_decoder import EncoderDecoderTask, search
from asr.tasks.language import LanguageTask
from asr.tasks.transducer import TransducerTask
from asr.text.vocabulary import EOS, Vocabulary
from asr.training.jobs import captioning, seq2seq
from asr.training.vocabularies import make_vocabulary

TEXTS = ["the quick brown fox", "jumps over", "a lazy dog"]
WORDS = {"kind": "words"}


def label_rnn(cell: str) -> dict[str, Any]:
    return {"type": "label_rnn", "embedding_size": 5, "hidden_size": 6, "num_layers": 2, "cell": cell}


def all_have_gradients(task: torch.nn.Module) -> bool:
    return all(parameter.grad is not None for parameter in task.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("cell", list(CELLS))
def test_language_models_carry_their_state_from_batch_to_batch(cell: str) -> None:
    """Truncated backpropagation through time: two batches give what one of both gives."""
    torch.manual_seed(0)
    head = {"kind": "characters", "normalization": None}
    vocabularies = {"text": make_vocabulary("text", head, TEXTS, (), (EOS,))}
    config = {"task": {"type": "language", "heads": {"text": head}}, "label_rnn": label_rnn(cell)}
    task = store.make_task(config, vocabularies)
    assert isinstance(task, LanguageTask)
    labels = torch.randint(len(task.vocabulary), (2, 13))
    whole = task.training_loss(StreamBatch(labels, 0)).value
    first = task.training_loss(StreamBatch(labels[:, :7], 0)).value
    second = task.training_loss(StreamBatch(labels[:, 6:], 1)).value
    torch.testing.assert_close((first + second) / 2, whole)
    second.backward()
    assert all_have_gradients(task)
    saved = task.training_state()
    other = store.make_task(config, vocabularies)
    other.load_state_dict(task.state_dict())
    other.load_training_state(saved)
    after = [t.training_loss(StreamBatch(labels[:, 6:], 2)).value for t in (task, other)]
    torch.testing.assert_close(after[0], after[1])


def seq2seq_batch(cell: str, init: str = "default") -> tuple[EncoderDecoderTask, Any]:
    texts = {text: [text[::-1]] for text in TEXTS}
    heads = {name: {"kind": "characters", "normalization": None} for name in ("target", "source")}
    encoder = {"type": "rnn", "hidden_size": 6, "num_layers": 2, "cell": cell, "init": init}
    config = {"task": {"type": "seq2seq", "heads": heads, "attention": True}, "encoder": encoder}
    config |= {"label_rnn": label_rnn(cell), "search": {"type": "beam"}}
    task = seq2seq.make_task(config, texts)
    data = PairDataset(texts, task.source, task.vocabulary)
    return task, data.collate([data[0], data[2]])


def caption_batch(cell: str) -> tuple[EncoderDecoderTask, Any]:
    items = [CaptionedImage(str(number), "", (text,) * 5) for number, text in enumerate(TEXTS)]
    config = {"task": {"type": "captioning", "heads": {"text": WORDS}, "attention": False}}
    config |= {"image_encoder": {"type": "mobilenet_v2"}, "label_rnn": label_rnn(cell), "search": {"type": "beam"}}
    task = captioning.make_task(config, items)
    grids = Grids(np.random.default_rng(1).normal(size=(len(items), 9, 1280)).astype(np.float16), pooled=False)
    data = CaptionDataset(items, [grids], task.vocabulary)
    return task, data.collate([data[0], data[7]])


def test_uniform_weights_around_an_encoder() -> None:
    task: Any = seq2seq_batch("lstm", "uniform")[0]
    for module in (task.embedding, task.encoder, task.bridge):
        assert all(parameter.abs().max() <= 0.1 for parameter in module.parameters())


@pytest.mark.parametrize("system", ["ctc", "transducer", "classification"])
@pytest.mark.parametrize("cell", list(CELLS))
def test_recognizers_and_classifiers(cell: str, system: str) -> None:
    torch.manual_seed(0)
    vocabulary = Vocabulary.classes(["no", "yes"]) if system == "classification" else Vocabulary.characters("ab")
    config: dict[str, Any] = {
        "task": {"type": system, "heads": {"text": {"kind": vocabulary.kind}}},
        "features": {"type": "filterbank", "sample_rate": 8000, "num_mels": 5, "normalization": "utterance"},
        "encoder": {"type": "rnn", "hidden_size": 6, "num_layers": 2, "cell": cell, "merge": "sum", "residual": True},
    }
    if system == "transducer":
        config["label_rnn"] = label_rnn(cell)
    task = store.make_task(config, {"text": vocabulary})
    inputs, lengths = pad([torch.randn(4000), torch.randn(2500)])
    targets = {"text": Targets.of([[0], [1]] if system == "classification" else [[1, 2, 1], [2]])}
    batch = SpeechBatch(["one", "two"], inputs, lengths, targets)
    task.training_loss(batch).value.backward()
    assert all_have_gradients(task)
    predictions = task.eval().validation_step(batch).predictions
    if isinstance(task, TransducerTask):
        frames = task(inputs, lengths)[0]["text"].detach()
        search = TransducerBeamSearch(task.head, BeamOptions(4))
        search.feed(frames[0])
        best, *_ = search.finish()
        (greedy, _) = predictions["text"]
        assert best.score >= greedy.score - 1e-3  # which sums over fewer paths


@pytest.mark.parametrize("make", [seq2seq_batch, caption_batch])
@pytest.mark.parametrize("cell", list(CELLS))
def test_encoder_decoders(cell: str, make: Callable[[str], tuple[EncoderDecoderTask, Any]]) -> None:
    torch.manual_seed(0)
    task, batch = make(cell)
    task.training_loss(batch).value.backward()
    assert all_have_gradients(task.network)
    options = LabelBeamOptions(beam=3, max_length=6)
    hypotheses = [best for best, *_ in search([task], batch.inputs, batch.lengths, options)]
    # the search reads label by label what the loss reads at once
    for row, best in enumerate(hypotheses):
        labels = torch.tensor([[task.eos, *best.labels, task.eos]])
        state = task.network.select(task.encode_state(batch.inputs, batch.lengths), torch.tensor([row]))
        log_probs = task.network(labels[:, :-1], state)[0][0].gather(1, labels[0, 1:, None])[:, 0]
        assert best.score == pytest.approx(log_probs.sum().item(), abs=1e-3)
