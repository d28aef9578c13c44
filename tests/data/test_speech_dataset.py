"""Cuts as training examples: what is read, perturbed, cached, labelled, padded; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr import audio
from asr.audio.perturbation import Perturbation, speed_perturb
from asr.data import manifest
from asr.data.batch import pad
from asr.data.loader import ResumableLoader
from asr.data.sampler import BucketSampler
from asr.data.speech_dataset import SpeechDataset
from asr.errors import AudioError, InputError
from asr.text.vocabulary import Vocabulary

RATE = 8000
TEXT = Vocabulary.characters(" abcdefgh")


@pytest.fixture
def cuts(tmp_path: Path) -> list[Any]:
    """Four utterances of 0.2 to 0.5 s; the last is the middle of its file, and has no phones."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(4):
        file = tmp_path / f"{i}.wav"
        soundfile.write(file, rng.uniform(-0.5, 0.5, 1600 + 800 * i), RATE, subtype="FLOAT")
        part = {"start": 0.1, "duration": 0.2} if i == 3 else {"phones": "a b"}
        made.append(manifest.make_cut(f"u{i}", file, ["a", "ab", "ba", "ab c"][i], "s", **part))
    return made


def dataset(cuts: list[Any], rate: int | None = RATE, **options: Any) -> SpeechDataset:
    return SpeechDataset(cuts, {"text": TEXT}, rate, **{"cache_hours": 0.0} | options)


def test_an_item_is_the_audio_and_its_labels(cuts: list[Any]) -> None:
    data = dataset(cuts)
    for i in (0, 3):
        cut = cuts[i]
        expected = audio.read(manifest.audio_path(cut) or "", RATE, start=cut.start, duration=cut.duration)
        item = data[i]
        assert (item.id, item.seconds) == (cut.id, cut.duration)
        assert item.inputs.dtype == torch.float32
        np.testing.assert_array_equal(item.inputs.numpy(), expected)
        assert item.labels == {"text": TEXT.encode(manifest.text(cut))}
        assert item.references == {"text": manifest.text(cut)}
    assert data.input_lengths().tolist() == [len(data[i].inputs) for i in range(4)] == [1600, 2400, 3200, 1600]


def test_audio_is_resampled_to_the_models_rate(cuts: list[Any]) -> None:
    assert len(dataset(cuts, 16000)[1].inputs) == 4800


def test_cached_audio_is_the_same_each_time_and_close_to_the_files(cuts: list[Any]) -> None:
    plain, cached = dataset(cuts), dataset(cuts, cache_hours=1)
    first = [cached[i].inputs for i in range(4)]
    for file in {manifest.audio_path(cut) for cut in cuts}:
        Path(str(file)).unlink()
    for i in range(4):
        assert torch.equal(first[i], cached[i].inputs)
    with pytest.raises(AudioError, match=r"0\.wav"):
        plain[0]


def test_the_cache_rounds_to_16_bits(cuts: list[Any]) -> None:
    for i in (0, 3):  # a whole recording, and a part
        error = dataset(cuts)[i].inputs - dataset(cuts, cache_hours=1)[i].inputs
        assert 0 < error.abs().max() <= 0.5 / 32768


def test_more_audio_than_the_cache_takes_is_read_again(cuts: list[Any]) -> None:
    data = dataset(cuts, cache_hours=1.3 / 3600)  # their recordings have 1.4 s
    data[0]
    Path(str(manifest.audio_path(cuts[0]))).unlink()
    with pytest.raises(AudioError):
        data[0]


def test_a_batch_is_padded_with_zeros(cuts: list[Any]) -> None:
    data = dataset(cuts)
    batch = data.collate([data[i] for i in (2, 0, 3)])
    assert batch.inputs.shape == (3, 3200) and batch.lengths.tolist() == [3200, 1600, 1600]
    for row, i in enumerate((2, 0, 3)):
        length = int(batch.lengths[row])
        assert torch.equal(batch.inputs[row, :length], data[i].inputs)
        assert not batch.inputs[row, length:].any()
    assert list(batch.ids) == ["u2", "u0", "u3"]
    assert batch.targets["text"].lengths.tolist() == [2, 1, 4]
    assert batch.references["text"] == ["ba", "a", "ab c"]
    assert batch.seconds == pytest.approx(0.8)


def test_heads_differ_in_what_they_have_labels_of(cuts: list[Any]) -> None:
    phones = Vocabulary.phones(["a", "b"])
    data = SpeechDataset(cuts, {"text": TEXT, "phones": phones}, RATE)
    batch = data.collate([data[i] for i in range(4)])
    assert batch.targets["phones"].rows.tolist() == [0, 1, 2]
    assert batch.references["phones"] == ["a b", "a b", "a b", None]
    assert data.labels[3]["phones"] is None


def test_perturbation_depends_on_seed_epoch_and_utterance(cuts: list[Any], tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    for i in range(2):
        noise = np.random.default_rng(i).normal(0, 0.1, 5000)
        soundfile.write(tmp_path / "noise" / f"n{i}.wav", noise, RATE)
        (tmp_path / "noise" / f"n{i}.txt").write_text("noise")
    options: dict[str, Any] = {"speed": [0.9, 1.1], "noise": str(tmp_path / "noise"), "noise_probability": 1.0}
    data, again = (dataset(cuts, perturbation=Perturbation(**options), seed=5) for _ in range(2))
    assert torch.equal(data[0, 1].inputs, again[0, 1].inputs)
    different = [data[0, 1], data[1, 1], dataset(cuts, perturbation=Perturbation(**options), seed=6)[0, 1]]
    assert len({tuple(item.inputs.tolist()) for item in different}) == 3
    assert torch.equal(data[1].inputs, dataset(cuts)[1].inputs)  # without an epoch: nothing is perturbed
    assert {len(data[e, 1].inputs) for e in range(8)} == {round(2400 / 0.9), round(2400 / 1.1)}


def test_speed_alone(cuts: list[Any]) -> None:
    data = dataset(cuts, perturbation=Perturbation(speed=[1.1]))
    expected = speed_perturb(dataset(cuts)[2].inputs.numpy(), 1.1)
    np.testing.assert_array_equal(data[4, 2].inputs.numpy(), expected)


def test_white_noise_has_the_ratio_that_was_asked_for(cuts: list[Any]) -> None:
    data = dataset(cuts, perturbation=Perturbation(noise="white", noise_probability=1.0, snr=(10.0, 10.0)))
    clean, noisy = data[2].inputs, data[3, 2].inputs
    ratio = 10 * torch.log10(clean.square().sum() / (noisy - clean).square().sum())
    assert float(ratio) == pytest.approx(10, abs=0.1)
    assert torch.equal(data[3, 2].inputs, noisy) and not torch.equal(data[4, 2].inputs, noisy)


def test_nonspeech_has_an_empty_transcript(cuts: list[Any]) -> None:
    options: dict[str, Any] = {"noise": ["white", "tones"], "nonspeech_probability": 0.5}
    data = dataset(cuts, perturbation=Perturbation(**options))
    items = [data[epoch, 1] for epoch in range(30)]
    without = [item for item in items if item.labels["text"] == []]
    assert 5 < len(without) < 25
    for item in items:
        assert len(item.inputs) == len(data[1].inputs)
        assert item.references["text"] == ("" if item.labels["text"] == [] else data[1].references["text"])
    assert data.labels[1]["text"] and data[1].labels == data.labels[1]
    with pytest.raises(InputError, match="head class has no class for non-speech"):
        SpeechDataset(cuts, {"class": Vocabulary.classes(["ab", "ba"])}, RATE, perturbation=Perturbation(**options))


def test_batches_tell_where_silence_was_added(cuts: list[Any]) -> None:
    data = dataset(cuts, perturbation=Perturbation(silence_seconds=0.2, silence_probability=1.0, silence_db=(-20, -20)))
    batch = data.collate([data[0, 1], data[0, 2]])
    assert batch.padding is not None
    for row, (index, (before, after)) in enumerate(zip((1, 2), batch.padding.tolist(), strict=True)):
        end = int(batch.lengths[row]) - after
        torch.testing.assert_close(batch.inputs[row, before:end], data[index].inputs)
    assert data.collate([data[1], data[2]]).padding is None


def test_a_teacher_gets_training_utterances_without_noise(cuts: list[Any]) -> None:
    noisy = Perturbation(noise="white", noise_probability=1.0, snr=(0.0, 0.0))
    data = dataset(cuts, perturbation=noisy, clean=True)
    batch = data.collate([data[(0, index)] for index in range(len(cuts))])
    untouched, _ = pad([data[index].inputs for index in range(len(cuts))])
    assert batch.clean is not None and torch.equal(batch.clean, untouched)
    assert not torch.equal(batch.inputs, untouched)
    assert data.collate([data[index] for index in range(len(cuts))]).clean is None
    nonspeech = dataset(cuts, perturbation=Perturbation(noise="white", nonspeech_probability=1.0), clean=True)
    example = nonspeech[(0, 1)]
    assert example.clean is not None and torch.equal(example.clean, example.inputs)


def test_features_instead_of_audio(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 13)).astype(">f4")
    file = tmp_path / "u.mfc"
    file.write_bytes(np.array(values.size, dtype=">i4").tobytes() + values.tobytes())
    cut = manifest.make_cut("u", None, "ab", features=file)
    data = dataset([cut], None, perturbation=Perturbation(speed=[1.1]))
    np.testing.assert_array_equal(data[0, 0].inputs.numpy(), values.astype(np.float32))
    assert data.input_lengths().tolist() == [7]
    with pytest.raises(InputError, match="utterance u has features only; this model reads audio"):
        dataset([cut])


def test_what_is_refused(cuts: list[Any]) -> None:
    with pytest.raises(InputError, match="utterance u0 has audio only; this model reads features"):
        dataset(cuts, None)
    cuts[2].supervisions[0].text = "ab!"
    with pytest.raises(InputError, match=r"utterance u2: characters outside the vocabulary: '!'"):
        dataset(cuts)
    data = dataset(cuts, encode=False)
    assert data.references[2] == {"text": "ab!"}
    assert data.collate([data[2]]).targets["text"].rows.tolist() == []


def test_a_loader_goes_on_where_it_was(cuts: list[Any]) -> None:
    def loader() -> ResumableLoader:
        data = dataset(cuts * 3)
        return ResumableLoader(data, BucketSampler(data.seconds, 0.6, seed=1))

    straight = loader()
    ids = [tuple(batch.ids) for batch in straight]
    assert straight.state_dict() == {"done": 0}
    stopped = loader()
    batches = iter(stopped)
    for _ in range(3):
        next(batches)
    state = stopped.state_dict()
    assert state == {"done": 3}
    resumed = loader()
    resumed.load_state_dict(state)
    assert [tuple(batch.ids) for batch in resumed] == ids[3:]
    assert [tuple(batch.ids) for batch in resumed] == ids
