"""Classification: pooling and loss against loops, batches against single utterances, training, the model directory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.data import manifest
from asr.data.batch import pad
from asr.errors import InputError
from asr.metrics import classification
from asr.models import store
from asr.modules.pooling import POOLINGS, Pooling
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary
from asr.training.run import train

Config = Callable[..., dict[str, Any]]
CONFIG: dict[str, Any] = {
    "task": {"type": "classification", "heads": {"word": {"kind": "classes"}}},
    "features": {"type": "filterbank", "sample_rate": 8000, "num_mels": 10, "deltas": 0, "normalization": "utterance"},
    "encoder": {"type": "rnn", "hidden_size": 6, "num_layers": 2, "dropout": 0.3, "stack": 2, "stride": 2},
    "augmentation": {"warp": {"type": "warp"}, "masks": {"type": "specaugment"}},
}
NAMES = ("_silence_", "turn left", "yes")


def make_task(pooling: str = "mean", **options: Any) -> ClassificationTask:
    torch.manual_seed(0)
    config = CONFIG | {"task": CONFIG["task"] | {"pooling": pooling, **options}}
    task = store.make_task(config, {"word": Vocabulary.classes(NAMES)})
    assert isinstance(task, ClassificationTask)
    return task.eval()


# -- pooling and loss


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_equals_a_loop_over_utterances(kind: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    x, lengths = pad([torch.randn(length, 6) for length in (4, 1, 7)])
    pooling = Pooling(kind, 6, bidirectional)
    for row, length, pooled in zip(x, lengths.tolist(), pooling(x, lengths), strict=True):
        own = row[:length]
        if kind == "mean":
            expected = sum(own) / length
        elif kind == "attention":
            scores = [math.exp(float((frame @ pooling.score.weight[0]).detach())) for frame in own]
            expected = sum(score / sum(scores) * frame for score, frame in zip(scores, own, strict=True))
        else:
            expected = torch.cat([own[-1, :3], own[0, 3:]]) if bidirectional else own[-1]
        assert torch.allclose(pooled, torch.as_tensor(expected), atol=1e-6)


def test_the_last_outputs_are_the_final_states_of_a_torch_lstm() -> None:
    task = make_task("last")
    x = torch.randn(1, 9, 10)
    network = torch.nn.LSTM(20, 6, 2, bidirectional=True, batch_first=True)
    task.encoder.rnn = type(task.encoder.rnn).from_torch(network)
    y, lengths = task.encoder(x, torch.tensor([9]))
    stacked, _ = task.encoder.front(x, torch.tensor([9]))
    _, (states, _) = network(stacked)
    assert torch.allclose(task.pooling(y, lengths), torch.cat([states[2], states[3]], -1), atol=1e-6)


@pytest.mark.parametrize("merge", ["concat", "sum", "mean", "max"])
def test_the_last_output_of_merged_directions_is_not_split(merge: str) -> None:
    config = CONFIG | {"task": CONFIG["task"] | {"pooling": "last"}, "encoder": CONFIG["encoder"] | {"merge": merge}}
    task = ClassificationTask.from_config(config, {"word": Vocabulary.classes(NAMES)}).eval()
    y, lengths = task.encoder(torch.randn(2, 9, task.features.dim), torch.tensor([9, 5]))
    ends = torch.stack([y[0, lengths[0] - 1], y[1, lengths[1] - 1]])
    expected = torch.cat([ends[:, :6], y[:, 0, 6:]], -1) if merge == "concat" else ends
    assert torch.equal(task.pooling(y, lengths), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_torch(smoothing: float) -> None:
    logits, classes = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    task = make_task(label_smoothing=smoothing)
    for mode, share in ((True, smoothing), (False, 0.0)):  # smoothing is for training only
        loss = task.train(mode).loss(logits.log_softmax(-1), classes)
        assert torch.allclose(loss, torch.nn.functional.cross_entropy(logits, classes, label_smoothing=share))


@pytest.mark.parametrize("channels", [[], [4, 4]])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_batch_gives_what_single_utterances_give(pooling: str, channels: list[int]) -> None:
    torch.manual_seed(0)
    encoder = CONFIG["encoder"] | ({"channels": channels, "stack": 1} if channels else {})
    config = CONFIG | {"task": CONFIG["task"] | {"pooling": pooling}, "encoder": encoder}
    task = ClassificationTask.from_config(config, {"word": Vocabulary.classes(NAMES)}).eval()
    waveforms = [torch.randn(length) for length in (4000, 200, 9000, 1)]
    together = task(*pad(waveforms))
    assert together.shape == (4, 3) and torch.allclose(together.exp().sum(-1), torch.ones(4))
    for waveform, row in zip(waveforms, together, strict=True):
        alone = task(waveform[None], torch.tensor([len(waveform)]))[0]
        assert torch.allclose(alone, row, atol=1e-5)


def test_augmentation_is_for_training_only() -> None:
    task, batch = make_task(), pad([torch.randn(8000), torch.randn(6000)])
    assert torch.equal(task(*batch), task(*batch))
    task.train()
    assert not torch.equal(task(*batch), task(*batch))


# -- errors


def test_wrong_options() -> None:
    with pytest.raises(InputError, match=r"one head, of kind classes; given are heads of kind: characters"):
        store.make_task(CONFIG, {"word": Vocabulary.characters("ab")})
    with pytest.raises(InputError, match="pooling='max' is not one of last, mean, attention"):
        make_task("max")
    with pytest.raises(InputError, match="label_smoothing=1"):
        make_task(label_smoothing=1)
    with pytest.raises(InputError, match="has no option stride; it has"):
        make_task(stride=2)


def test_a_class_without_training_data_is_named_before_training(
    tmp_path: Path, class_config: Config, tone_corpus: Any
) -> None:
    corpus = tone_corpus(tmp_path / "a", ["ab", "c d"])
    other = tone_corpus(tmp_path / "b", ["ab", "gh"], "test")
    config = class_config(tmp_path / "run", corpus, **{"data.test": str(other)})
    with pytest.raises(InputError, match=r"utterance test1: 'gh' is not one of the classes ab, c d$"):
        train(config)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"trainer.monitor='wer' is not one of auto, error, loss"):
        train(class_config(tmp_path / "run", corpus, **{"trainer.monitor": "wer"}))
    with pytest.raises(InputError, match="data has no option too_short"):
        train(class_config(tmp_path / "run", corpus, **{"data.too_short": "skip"}))


# -- training, and the model directory


def test_tones_are_memorized(class_run: Path) -> None:
    figures = json.loads((class_run / "model" / "metrics.json").read_text())
    report = figures["dev"]["train"]
    assert (report["errors"], report["accuracy"], report["utterances"]) == (0, 1.0, 15)
    assert report["recall"] == {"ab": 1.0, "c d": 1.0, "hgf": 1.0} and report["confusions"] == []
    cuts = manifest.read(class_run / "corpus" / "train.jsonl")
    assert figures["training"]["mean_seconds"] == pytest.approx(sum(cut.duration for cut in cuts) / 15, abs=1e-3)
    card = (class_run / "model" / "README.md").read_text()
    assert "| dev train | 15 | 0 | 100.00 |  |" in card and "3 classes: ab, c d, hgf" in card and "asr classify" in card


def test_the_line_of_an_epoch_that_starts_from_a_model(
    tmp_path: Path, class_config: Config, class_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = class_config(tmp_path, class_run / "corpus" / "train.jsonl", **{"trainer.epochs": 2, "optimizer.lr": 1e-6})
    train(config | {"init": str(class_run)})
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("epoch 1/2 | loss ") and "| error 0.0% |" in first


def test_round_trip(tmp_path: Path) -> None:
    task = make_task("attention", dropout=0.2)
    config = CONFIG | {"task": CONFIG["task"] | {"pooling": "attention", "dropout": 0.2}}
    store.save(task, tmp_path / "model", config)
    loaded = store.load(tmp_path / "model", ClassificationTask)
    assert loaded.vocabulary == task.vocabulary and loaded.vocabulary.tokens == NAMES
    assert loaded.vocabulary.decode(loaded.vocabulary.encode("turn left")) == "turn left"
    batch = pad([torch.randn(4000), torch.randn(2500)])
    assert torch.equal(loaded(*batch), task(*batch))
    with pytest.raises(InputError, match="a classifier; a speech recognizer is needed"):
        store.load(tmp_path / "model", CTCTask)


# -- figures


def test_figures() -> None:
    pairs = [("a", "a"), ("a", "b"), ("a", "b"), ("b", "b"), ("b", "a"), ("c", "c")]
    figures = classification.summary(pairs)
    assert figures == {
        "utterances": 6,
        "errors": 3,
        "accuracy": 0.5,
        "interval_95": {"accuracy": [0.0, 1.0]},
        "interval_over": "utterances",
        "recall": {"a": 0.333333, "b": 0.5, "c": 1.0},
        "confusions": [["a", "b", 2], ["b", "a", 1]],
    }
    assert classification.line(figures) == (
        "accuracy 50.00 [0.00, 100.00] % (3 of 6 wrong); lowest recall a 33.3%, b 50.0%; "
        "a taken for b 2 x, b taken for a 1 x"
    )
    assert classification.line(classification.summary([("a", "a")])) == "accuracy 100.00 % (0 of 1 wrong)"


def test_uniform_weights_above_the_encoder() -> None:
    config = CONFIG | {"encoder": CONFIG["encoder"] | {"init": "uniform"}}
    task = store.make_task(config, {"word": Vocabulary.classes(NAMES)})
    parameters = [parameter for name, parameter in task.named_parameters() if name.startswith("heads.")]
    assert parameters and all(parameter.abs().max() <= 0.1 for parameter in parameters)
