"""Transducers from training to transcripts, with every command that takes a recognizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import asr as asr_
from asr.data.batch import SpeechBatch, Targets, pad
from asr.decoding.transducer.greedy import TransducerGreedySearch
from asr.errors import InputError
from asr.features import FilterBank
from asr.inference.decoders.segments import MIN_PAUSE_FRAMES
from asr.inference.decoders.transducer import PausingSearch, TransducerBeamDecoder, TransducerGreedyDecoder
from asr.inference.recognizer import Recognizer
from asr.modules.cells import CELLS
from asr.modules.encoder import Encoder
from asr.modules.label_rnn import LabelRNN
from asr.modules.transducer_head import SILENCE_LOGIT, TransducerHead, joint_size
from asr.modules.transducer_loss import loss_of_logits
from asr.tasks.transducer import TransducerTask
from asr.text.vocabulary import Vocabulary
from asr.training.run import train

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def transducer_config(tiny_config: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``transducer_config(run_dir, train, **changes)``: as `tiny_config`, of a transducer."""

    def make(run_dir: Path, train: Path, **changes: Any) -> dict[str, Any]:
        heads = {"text": {"kind": "characters", "normalization": "english"}}
        task = {"type": "transducer", "output_network": "tanh", "joint_size": 32, "heads": heads}
        config = tiny_config(run_dir, train, **{"task": task, "trainer.epochs": 60, "data.seconds": 1.2} | changes)
        config["label_rnn"] = {"type": "label_rnn", "embedding_size": 8, "hidden_size": 16, "num_layers": 1}
        for name in ("too_short", "teacher", "teacher_weight", "untranscribed"):
            del config["data"][name]
        return config

    return make


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    transducer_config: Callable[..., dict[str, Any]],
    tone_corpus: Any,
    tone_texts: Any,
) -> Path:
    """A training run on eight utterances (``corpus/train.jsonl`` in it), brought to its end (``model/``)."""
    run_dir = tmp_path_factory.mktemp("transducer_run")
    train(transducer_config(run_dir, tone_corpus(run_dir / "corpus", tone_texts(8))))
    return run_dir


@pytest.fixture(scope="module")
def trained(run: Path) -> Recognizer:
    recognizer: Recognizer = asr_.load(run)
    return recognizer


class TestTrained:
    def test_transcribes_what_it_was_trained_on(self, trained: Recognizer, tones: Any, tone_texts: Any) -> None:
        texts = tone_texts(8)
        found = [trained.transcribe(tones(text, seed)) for seed, text in enumerate(texts)]
        assert sum(transcript.text == text for transcript, text in zip(found, texts, strict=True)) >= 7
        for transcript in found:
            times = [time for word in transcript.words for time in (word.start, word.end)]
            assert times == sorted(times) and all(0 < (word.confidence or 0) <= 1 for word in transcript.words)

    def test_a_batch_gives_what_single_recordings_give(self, trained: Recognizer, tones: Any, tone_texts: Any) -> None:
        waveforms = [tones(text, seed) for seed, text in enumerate(tone_texts(4))]
        together = dict(trained.transcribe_all(waveforms))
        for index, waveform in enumerate(waveforms):
            found = together[index]
            assert not isinstance(found, InputError) and found.text == trained.transcribe(waveform).text

    def test_silence_has_no_words(self, trained: Recognizer, tones: Any) -> None:
        silence = np.zeros(5 * 8000, dtype=np.float32)
        assert trained.transcribe(silence).text == ""
        speech = tones("abc", 1)
        padded = trained.transcribe(np.concatenate([silence, speech, silence]))
        assert padded.duration == pytest.approx(10 + len(speech) / 8000, abs=0.01)
        assert padded.words and all(4.4 < word.start < word.end < padded.duration - 4.4 for word in padded.words)

    def test_alignment(self, trained: Recognizer, tones: Any, tone_texts: Any) -> None:
        for seed, text in enumerate(tone_texts(4)):
            found = trained.align(tones(text, seed), text)
            heard = trained.transcribe(tones(text, seed))
            assert [word.text for word in found.words] == text.split() and found.fits
            if heard.text == text:
                assert [word.start for word in found.words] == [word.start for word in heard.words]
        wrong = trained.align(tones("ab cd", 1), "hh gg hh gg hh gg")
        assert wrong.fits is False and "does not fit" in wrong.warnings[0]
        mixed = trained.align(tones("ab cd", 1), "ab 77 cd")
        assert [word.text for word in mixed.words] == ["ab", "77", "cd"]

    def test_beam_search_and_hot_words(self, run: Path, tones: Any) -> None:
        recognizer = asr_.load(run, decoder={"beam": 8, "nbest": 4})
        assert isinstance(recognizer.decoder, TransducerBeamDecoder)
        found = recognizer.transcribe(tones("ab cd", 3))
        assert found.text and found.alternatives
        gaps = [alternative.score_gap for alternative in found.alternatives]
        assert gaps == sorted(gaps) and gaps[0] >= 0
        hot = asr_.load(run, decoder={"beam": 8, "hotwords": {"hhh": 60.0}}).transcribe(tones("ab cd", 3))
        assert "hhh" in hot.text.split()
        with pytest.raises(InputError, match="neural_lm: not for a transducer"):
            asr_.load(run, decoder={"neural_lm": str(run)})

    def test_commands(self, run: Path, asr: Run, tmp_path: Path) -> None:
        corpus = run / "corpus" / "train.jsonl"
        assert "transducer" in asr("info", run).out
        outcome = asr("evaluate", run, corpus, "--json", tmp_path / "figures.json")
        assert outcome.status == 0, outcome.err
        assert json.loads((tmp_path / "figures.json").read_text())["wer"] < 0.3
        text = tmp_path / "text.txt"
        text.write_text("ab cd\nabc\ncd ef gh\n")
        assert asr("lm", "train", text, "--order", "2", "--output", tmp_path / "lm.arpa").status == 0
        tuned = asr(
            "tune", run, corpus, "--lm", tmp_path / "lm.arpa", "--dry-run", "--values", "lm_weight=0.5",
            "--values", "word_bonus=0", "--values", "unknown_words=-5", "--values", "beam=4",
        )  # fmt: skip
        assert tuned.status == 0 and "best:" in tuned.out, tuned.err
        audio = run / "corpus" / "train0.wav"
        outcome = asr("transcribe", audio, "--model", run, "--format", "json", "--nbest", "2", "--beam", "5")
        assert outcome.status == 0 and json.loads(outcome.out)["words"], outcome.err
        text.write_text(json.loads(corpus.read_text().splitlines()[0])["supervisions"][0]["text"])
        outcome = asr("align", audio, text, "--model", run, "--format", "ctm")
        assert outcome.status == 0 and len(outcome.out.splitlines()) == len(text.read_text().split()), outcome.err

    @pytest.mark.parametrize("kind", ["spikes", "sensitivity", "gates", "gradients"])
    def test_pictures(self, kind: str, run: Path, asr: Run, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        audio, text = run / "corpus" / "train0.wav", tmp_path / "text.txt"
        text.write_text("ab cd")
        for number, spoken in enumerate(([], [text])):
            outcome = asr("plot", kind, audio, *spoken, "--model", run, "--output", tmp_path / f"{number}.png")
            assert outcome.status == 0 and (tmp_path / f"{number}.png").exists(), outcome.err


class TestParts:
    def test_encoder_and_prediction_network_of_other_models(
        self,
        tmp_path: Path,
        tone_run: Path,
        transducer_config: Callable[..., dict[str, Any]],
        asr: Run,
    ) -> None:
        corpus = tone_run / "corpus" / "train.jsonl"
        lm_dir = tmp_path / "lm"
        base = transducer_config(lm_dir, corpus)
        text = tmp_path / "text.txt"
        text.write_text("ab cd\nef gh\n" * 20)
        language = {key: base[key] for key in ("name", "seed", "init", "resume", "optimizer", "label_rnn", "run_dir")}
        language["task"] = {"type": "language", "heads": {"text": {"kind": "characters"}}}
        language["trainer"] = base["trainer"] | {"epochs": 1}
        language["data"] = {
            "train": str(text), "dev": str(text), "test": None, "eos_after": "line", "batch_size": 2, "bptt": 10,
        }  # fmt: skip
        train(language)
        still = {"type": "sgd", "lr": 1e-9}
        config = transducer_config(tmp_path / "run", corpus, optimizer=still, **{"trainer.epochs": 1})
        config["init"] = {"encoder": str(tone_run), "prediction": str(lm_dir)}
        train(config)
        task = asr_.load(tmp_path / "run").task
        ctc = asr_.load(tone_run).task
        model = asr_.load(lm_dir).task
        own = task.state_dict()
        for name, value in ctc.state_dict().items():
            if name.startswith(("encoder.", "features.")):
                torch.testing.assert_close(own[name], value, atol=1e-6, rtol=0)
        embedding = own["head.prediction.embedding.weight"]
        torch.testing.assert_close(embedding[0], model.network.embedding.weight[model.eos], atol=1e-6, rtol=0)
        for token in "ah":
            ours, theirs = task.vocabulary.tokens.index(token), model.vocabulary.tokens.index(token)
            torch.testing.assert_close(embedding[ours], model.network.embedding.weight[theirs], atol=1e-6, rtol=0)
        layer = "layers.0.weight_hh_l0"
        torch.testing.assert_close(
            own[f"head.prediction.{layer}"], model.network.state_dict()[layer], atol=1e-6, rtol=0
        )
        card = (tmp_path / "run" / "model" / "README.md").read_text()
        assert "(encoder)" in card and "(prediction)" in card

    def test_models_that_do_not_fit(
        self, tmp_path: Path, tone_run: Path, class_run: Path, transducer_config: Callable[..., dict[str, Any]]
    ) -> None:
        def refused(init: dict[str, Any], message: str, **changes: Any) -> None:
            config = transducer_config(tmp_path / "run", tone_run / "corpus" / "train.jsonl", **changes)
            config["init"] = init
            with pytest.raises(InputError, match=message):
                train(config)

        refused(
            {"decoder": str(tone_run)}, "init: part of a transducer model='decoder' is not one of encoder, prediction"
        )
        refused({"prediction": str(tone_run)}, "a language model is needed")
        refused({"encoder": "/none"}, "/none: no such model directory")
        refused({"encoder": None}, "init.encoder=None: expected a model directory or training run")
        refused({"encoder": str(tone_run)}, "does not fit the network", **{"encoder.hidden_size": 16})
        refused({}, "name one model, or one for each part of: encoder, prediction")


def make_task(output_network: str = "tanh", cell: str = "lstm") -> TransducerTask:
    torch.manual_seed(0)
    features = FilterBank(8000, num_mels=10, deltas=0, normalization="utterance")
    vocabulary = Vocabulary.characters(" abc")
    outputs = joint_size(output_network, len(vocabulary), 12)
    prediction = LabelRNN(len(vocabulary), embedding_size=6, hidden_size=7, num_layers=2, cell=cell, outputs=outputs)
    encoder = Encoder(features.dim, 6, 1)
    return TransducerTask(features, encoder, {"text": vocabulary}, prediction, output_network=output_network)


@pytest.mark.parametrize("output_network", ["tanh", "additive"])
class TestHead:
    def test_loss_equals_that_of_all_logits(self, output_network: str) -> None:
        head = make_task(output_network).head
        x, lengths = torch.randn(2, 7, 12), torch.tensor([7, 5])
        labels = [torch.tensor([1, 2, 2]), torch.tensor([3])]
        padded, counts = pad(labels)
        padded[1, 1:] = 1
        logits = head.logits(head.projection(x)[:, :, None], head.predict(padded)[:, None])
        expected = loss_of_logits(logits, padded, lengths, counts)
        found = head.loss(x, lengths, labels)
        torch.testing.assert_close(found, expected)
        parameters = list(head.parameters())
        for one, other in zip(
            torch.autograd.grad(found.sum(), parameters), torch.autograd.grad(expected.sum(), parameters), strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("cell", list(CELLS))
    def test_steps_equal_whole_sequences(self, output_network: str, cell: str) -> None:
        head = make_task(output_network, cell).head
        labels = torch.tensor([[1, 3, 2], [4, 4, 1]])
        whole = head.predict(labels)
        output, states = head.start(2)
        torch.testing.assert_close(output, whole[:, 0])
        for u, column in enumerate(labels.T, start=1):
            output, states = head.step(states, column)
            torch.testing.assert_close(output, whole[:, u])

    def test_the_blank_is_certain_in_silence(self, output_network: str) -> None:
        head = make_task(output_network).head
        log_probs = head.log_probs(head.silence(), head.start(1)[0])
        assert log_probs[0, head.blank] == 0 and SILENCE_LOGIT > 90
        assert (log_probs[0, 1:] < -80).all()


def test_labels_lie_within_the_utterance() -> None:
    task = make_task().train()
    inputs, lengths = pad([torch.randn(8000), torch.randn(12000)])
    batch = SpeechBatch(["a", "b"], inputs, lengths, {"text": Targets.of([[1, 2], [2]])})
    padded = SpeechBatch(**vars(batch) | {"padding": torch.tensor([[0, 0], [4000, 4800]])})
    x, frames = task.encode(inputs, lengths)
    silent = task.padded_frames(padded, frames, x.shape[1])
    assert silent is not None
    nll = task.head.loss(x, frames, [torch.tensor([1, 2]), torch.tensor([2])], ~silent)
    torch.testing.assert_close(task.training_loss(padded).value, nll.sum() / 3)
    assert task.training_loss(padded).value > task.training_loss(batch).value
    hopeless = SpeechBatch(**vars(batch) | {"padding": torch.tensor([[0, 0], [99999, 0]])})
    assert task.training_loss(hopeless).skipped == 1
    assert torch.isfinite(task.training_loss(hopeless).value)


def test_utterances_without_labels() -> None:
    task = make_task().train()
    inputs, lengths = pad([torch.randn(8000), torch.randn(6000)])
    batch = SpeechBatch(["a", "b"], inputs, lengths, {"text": Targets.of([None, [1]])})
    alone = SpeechBatch(["b"], inputs[1:, :6000], lengths[1:], {"text": Targets.of([[1]])})
    torch.testing.assert_close(task.training_loss(batch).value, task.training_loss(alone).value)
    nothing = SpeechBatch(["a"], inputs[:1], lengths[:1], {"text": Targets.of([None])})
    assert task.training_loss(nothing).value == 0


def test_a_second_head_is_refused() -> None:
    task = make_task()
    vocabularies = {"text": task.vocabulary, "phones": task.vocabulary}
    with pytest.raises(InputError, match="a transducer has one head, not 2"):
        TransducerTask(task.features, task.encoder, vocabularies, task.head.prediction)


def test_long_recordings_are_searched_between_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    from asr.inference.decoders import transducer as module

    head: TransducerHead = make_task().head.eval()
    rng = np.random.default_rng(0)
    speech = rng.normal(0, 2, (40, head.size + 1)).astype(np.float32)
    speech[:, -1] = 0
    pause = np.tile(head.silence().numpy(), (2 * MIN_PAUSE_FRAMES, 1))
    frames = np.concatenate([speech, pause, speech, pause[:7]])
    vocabulary = Vocabulary.characters(" abc")
    for decoder in (TransducerGreedyDecoder(vocabulary, head), TransducerBeamDecoder(vocabulary, head)):
        monkeypatch.setattr(module, "MIN_SEGMENT_FRAMES", 10)
        search = decoder.start()
        assert isinstance(search, PausingSearch)
        for part in np.split(frames, [3, 50, 51]):
            search.feed(part)
        assert search.frames == len(frames)
        (found, *_) = search.finish()
        assert len(search._finished) == 2
        ((alone, *_),) = decoder.search(speech[None], np.array([len(speech)]))
        assert found.labels[: len(alone.labels)] == alone.labels
        monkeypatch.setattr(module, "MIN_SEGMENT_FRAMES", 1000)
        search = decoder.start()
        search.feed(frames)
        assert search.finish() == decoder.search(frames[None], np.array([len(frames)]))[0]
    with pytest.raises(InputError, match="frames have the shape"):
        decoder.start().feed(frames[:, 1:])


def test_greedy_search_does_not_depend_on_the_batch() -> None:
    task = make_task().eval()
    frames = task.head(torch.randn(3, 20, 12)).detach()
    run = TransducerGreedySearch(task.head, 3)
    run.feed(frames, np.array([20, 4, 11]))
    for row, length in enumerate((20, 4, 11)):
        alone = TransducerGreedySearch(task.head)
        alone.feed(frames[row : row + 1, :length], np.array([length]))
        (found,) = alone.finish()
        assert found.labels == run.finish()[row].labels and found.frames == run.finish()[row].frames
