"""Perturbation of training waveforms: each option does what it says, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audio.noise import GENERATORS
from asr.audio.perturbation import Perturbation, speed_perturb
from asr.data.perturber import Perturber
from asr.errors import InputError

RATE = 16000


def speech(samples: int = RATE) -> np.ndarray:
    """Noise at -26 dBFS, of 16-bit samples."""
    values = 0.05 * np.random.default_rng(0).standard_normal(samples)
    return (np.rint(values * 32768) / 32768).astype(np.float32)


def perturb(seed: int = 0, waveform: np.ndarray | None = None, **options: Any) -> np.ndarray:
    perturber = Perturber(Perturbation(**options), RATE)
    return perturber(speech() if waveform is None else waveform, np.random.default_rng(seed)).samples


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def power(samples: np.ndarray, low: float, high: float) -> float:
    """Mean power between two frequencies."""
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(np.mean(np.abs(np.fft.rfft(samples)[(hz >= low) & (hz < high)]) ** 2))


def recording(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def test_nothing_is_changed_by_default() -> None:
    np.testing.assert_array_equal(perturb(), speech())


def test_all_depends_on_the_random_numbers_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for i in range(3):
        recording(tmp_path / f"noise/kind/{i}.wav", 0.1 * rng.standard_normal(4000))
        recording(tmp_path / f"rooms/{i}.wav", rng.standard_normal(800) * np.exp(-np.arange(800) / 100))
    options: dict[str, Any] = {
        "impulse_responses": str(tmp_path / "rooms"),
        "silence_seconds": 0.5,
        "noise": [str(tmp_path / "noise"), *GENERATORS],
        "high_cut": [3400, 8000],
        "low_cut": 300,
        "gain": [-40, 6],
    } | {f"{name}_probability": 1.0 for name in ("reverb", "silence", "noise", "band")}
    perturber = Perturber(Perturbation(**options), RATE)
    first = [perturber(speech(), np.random.default_rng(seed)).samples for seed in range(6)]
    again = [perturber(speech(), np.random.default_rng(seed)).samples for seed in range(6)]  # now from memory
    other = [perturb(seed, **options) for seed in range(6)]
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
        assert a.dtype == np.float32 and RATE <= len(a) <= 2 * RATE
        np.testing.assert_array_equal(a * 32768, np.rint(a * 32768))
    assert len({len(a) for a in first}) > 3


def test_silence_around_speech() -> None:
    kinds = set()
    perturber = Perturber(Perturbation(silence_seconds=0.5, silence_probability=1.0, silence_db=(-40, -30)), RATE)
    for seed in range(20):
        result, before, after, _ = perturber(speech(), np.random.default_rng(seed))
        start = int(np.argmax(np.convolve(result, speech()[::-1], "valid")))
        np.testing.assert_array_equal(result[start : start + RATE], speech())
        around = np.concatenate([result[:start], result[start + RATE :]])
        assert 0 < len(around) <= RATE and (start, len(around)) == (before, before + after)
        if around.any():
            assert -41 < level(around) - level(speech()) < -29
        kinds.add(bool(around.any()))
    assert kinds == {False, True}


def test_clean_speech_has_the_same_timing() -> None:
    """Speed and silence as the perturbed waveform, nothing else."""
    sound: dict[str, Any] = {"noise": "white", "snr": [0, 5], "high_cut": [3400, 4000], "gain": [-20, -10]}
    sound |= {"noise_probability": 1.0, "band_probability": 1.0}
    timing: dict[str, Any] = {"speed": [0.8], "silence_seconds": 0.5, "silence_probability": 1.0}
    for seed in range(5):
        both = Perturber(Perturbation(**sound, **timing), RATE)(speech(), np.random.default_rng(seed))
        assert len(both.clean) == len(both.samples)
        inner = both.clean[both.before : len(both.clean) - both.after]
        np.testing.assert_array_equal(inner, speed_perturb(speech(), 0.8))
        assert not both.clean[: both.before].any() and not both.clean[len(both.clean) - both.after :].any()
        assert level(both.samples) < level(both.clean) - 5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("silence", {"silence_seconds": 0.5}),
        ("band", {"high_cut": [4000, 5000]}),
        ("telephone", {}),
        ("noise", {"noise": "white"}),
    ],
)
def test_probabilities(name: str, options: dict[str, Any]) -> None:
    perturber = Perturber(Perturbation(**options | {f"{name}_probability": 0.3}), RATE)
    rng = np.random.default_rng(0)
    changed = [not np.array_equal(perturber(speech(2000), rng).samples, speech(2000)) for _ in range(300)]
    assert 0.2 < np.mean(changed) < 0.4


def test_noise_of_several_sources(tmp_path: Path) -> None:
    for i in range(20):  # sources have equal shares, however many recordings they have
        recording(tmp_path / f"tones/{i}.wav", np.sin(np.arange(RATE) * 2 * np.pi * 1000 / RATE))
    options: dict[str, Any] = {"noise": [str(tmp_path / "tones"), "white"], "noise_probability": 1.0, "snr": [10, 10]}
    tonal = []
    for seed in range(40):
        added = perturb(seed, **options) - speech()
        assert level(speech()) - level(added) == pytest.approx(10, abs=0.05)
        tonal.append(power(added, 990, 1010) > 100 * power(added, 3000, 4000))
    assert 0.25 < np.mean(tonal) < 0.75


@pytest.mark.parametrize("name", GENERATORS)
def test_generated_noise(name: str) -> None:
    for seed in range(10):
        noise = GENERATORS[name](RATE, RATE, np.random.default_rng(seed))
        assert noise.shape == (RATE,) and noise.std() == pytest.approx(1, abs=0.05)
        np.testing.assert_array_equal(noise, GENERATORS[name](RATE, RATE, np.random.default_rng(seed)))


def test_a_room_keeps_time_and_level(tmp_path: Path) -> None:
    response = np.zeros(4000)
    response[[100, 2100]] = 1.0, 0.5  # direct sound, and an echo 125 ms later
    recording(tmp_path / "rooms/hall.wav", response)
    click = np.zeros(RATE, np.float32)
    click[5000] = 0.5
    heights = []
    for seed in range(8):
        result = perturb(seed, click, impulse_responses=str(tmp_path / "rooms"), reverb_probability=1.0)
        assert level(result) == pytest.approx(level(click), abs=0.01)
        assert int(np.argmax(np.abs(result))) == 5000
        heights.append(result[7000] / result[5000])
        rest = np.delete(result, [5000, 7000])
        assert np.abs(rest).max() < 1e-5
    assert 0 <= min(heights) < 0.2 and 0.3 < max(heights) <= 0.5


def test_the_band_ends_where_it_was_drawn() -> None:
    result = perturb(high_cut=[4000, 4000], band_probability=1.0)
    assert len(result) == RATE
    assert power(result, 4050, 8000) < 1e-4 * power(speech(), 4050, 8000)
    assert power(result, 100, 3750) == pytest.approx(power(speech(), 100, 3750), rel=0.01)
    results = [perturb(seed, high_cut=[8000, 8000], band_probability=1.0, low_cut=300) for seed in range(20)]
    cut = [power(result, 50, 100) < 0.1 * power(speech(), 50, 100) for result in results]
    assert 0.4 < np.mean(cut) < 0.95
    for result in results:
        assert power(result, 310, 7000) == pytest.approx(power(speech(), 310, 7000), rel=0.01)


def test_the_band_of_a_telephone_takes_the_place_of_another_one() -> None:
    results = [
        perturb(seed, high_cut=[7000, 8000], band_probability=1.0, telephone_probability=0.5) for seed in range(30)
    ]
    telephone = [result for result in results if power(result, 50, 150) < 1e-3 * power(speech(), 50, 150)]
    assert 0.25 < len(telephone) / len(results) < 0.75
    for result in telephone:
        assert power(result, 4050, 8000) < 1e-4 * power(speech(), 4050, 8000)
        assert power(result, 400, 3000) == pytest.approx(power(speech(), 400, 3000), rel=0.01)
    for result in (result for result in results if not any(result is other for other in telephone)):
        assert power(result, 50, 6500) == pytest.approx(power(speech(), 50, 6500), rel=0.01)


def test_gain_is_that_of_a_recording_of_16_bits() -> None:
    result = perturb(gain=[-20, -20])
    assert level(result) == pytest.approx(level(speech()) - 20, abs=0.05)
    np.testing.assert_array_equal(result * 32768, np.rint(result * 32768))
    loud = perturb(gain=[40, 40])
    assert loud.max() == 32767 / 32768 and loud.min() == -1
    assert {round(level(perturb(seed, gain=[-40, 6]))) for seed in range(30)} > {-40, -30}


def test_nonspeech_has_the_length_and_level_of_speech() -> None:
    perturber = Perturber(Perturbation(noise=list(GENERATORS), nonspeech_probability=0.3), RATE)
    rng = np.random.default_rng(0)
    assert 0.2 < np.mean([perturber.draw_nonspeech(rng) for _ in range(300)]) < 0.4
    sounds = [perturber.nonspeech(speech(), rng) for _ in range(40)]
    assert 0 < sum(not sound.any() for sound in sounds) < 15
    for sound in sounds:
        assert len(sound) == RATE and sound.dtype == np.float32
        if sound.any():
            assert level(sound) == pytest.approx(level(speech()), abs=0.1)
            assert abs(np.corrcoef(sound, speech())[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gain": [6, -40]}, r"perturbation\.gain=\[6, -40\]: the lowest comes first"),
        ({"nonspeech_probability": 0.1}, r"nonspeech_probability needs perturbation\.noise"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Perturbation(**options)


def test_a_folder_without_audio(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no audio files in this folder"):
        Perturber(Perturbation(noise=str(tmp_path)), RATE)
