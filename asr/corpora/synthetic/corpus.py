"""Synthetic speech by espeak-ng: sentences of a small grammar, many voices, known times of every phone and word.

Each voice (a speaker) is an accent, one of espeak-ng's speaker variants, a rate, a pitch and a pitch range, and has one
audio file, of which its utterances are cuts. No voice is in two splits; its variant can be, with another accent. The
result depends on the arguments only: the same ones give the same manifests, and on one machine the same audio files
byte for byte.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from asr.corpora.synthetic import _espeak
from asr.corpora.synthetic.grammar import Grammar
from asr.data.manifest import make_cut
from asr.errors import InputError
from asr.utils.atomic import write_if_changed
from asr.utils.threads import available_cores

if TYPE_CHECKING:
    from lhotse import MonoCut

SAMPLE_RATE = 16000
FRAME = 160  # samples; utterances and the silence around them are multiples of 10 ms
SILENCE = "sil"
STRESS = str.maketrans("", "", "ˈˌ")
VOWELS = frozenset("aeiouyæɐɑɒɔəɚɛɜɪʉʊʌᵻ")  # first characters of their IPA labels

DEFAULT_GRAMMAR = """
<sentence> = <digit>{1,7}
<digit> = zero | oh | one | two | three | four | five | six | seven | eight | nine
"""

# espeak-ng's variants without robots, whispers, croaks and caricatures, and without those with formants that no vocal
# tract produces: the third at the first (Andy, Jacky, Lee), the second or all of them 1.5 times as high (Alicia, zac)
_NAMES = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andrea Annie Denis Diogo Gene Henrique Hugo Marco Mario Michael "
    "Mike Nguyen Reed adam anika antonio aunty belinda benjamin boris caleb david ed edward grandma grandpa gustave "
    "ian iven john linda marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph "
    "travis victor"
)
VARIANTS = _NAMES.split()

RATE = (120, 220)  # words per minute
PITCH = (35, 65)  # of 100; the variants add their own
PITCH_RANGE = (35, 75)
PADDING = (10, 30)  # frames of silence before and after an utterance
PEAK_DB = (-15.0, -1.0)  # of the loudest sample, relative to full scale
SNR_DB = (18.0, 40.0)
NOISE_TILT = 0.5  # the amplitude falls with this power of the frequency at most

FORMATS = ("flac", "opus", "wav")
OPUS_LEVEL = 0.976  # libsndfile's compression level for about 12 kb/s
DRAWS = 20  # of a sentence, until one is new
EXAMPLE_DRAWS = 5  # the sentence with the most different words is spoken


@dataclass(frozen=True)
class SyntheticUtterance:
    """A waveform with times.

    Attributes:
        text: the sentence.
        waveform: (samples,) float32 at `SAMPLE_RATE`.
        phones: (label, start, end) in seconds, silence included.
        words: (word, start, end) in seconds.
    """

    text: str
    waveform: np.ndarray
    phones: list[tuple[str, float, float]]
    words: list[tuple[str, float, float]]


def prepare(
    root: Path,
    *,
    seed: int = 0,
    utterances: int = 2340,
    grammar: str | Path | None = None,
    voices: int = 78,
    dev_voices: int = 6,
    test_voices: int = 12,
    audio_format: str = "flac",
    examples: int = 0,
    jobs: int | None = None,
) -> dict[str, list[MonoCut]]:
    """Synthesize sentences to ``root/audio`` and return the splits ``train``, ``dev`` and ``test``.

    A supervision's ``custom`` has ``phones`` (IPA without stress, and ``sil``), ``phone_times`` and ``word_times``,
    both lists of ``[label, start, end]`` in seconds from the start of the cut. Phones follow each other without gaps.
    The label in ``word_times`` can be several words that espeak-ng speaks as one, such as ``of the``.

    Args:
        root: folder of the audio files.
        seed: of voices, sentences and noise.
        utterances: number of sentences.
        grammar: rules file, see `asr.corpora.synthetic.grammar` (None: one to seven digits).
        voices: number of voices of all splits; each speaks ``utterances / voices`` sentences.
        dev_voices: number of voices of ``dev``.
        test_voices: number of voices of ``test``.
        audio_format: ``flac``, ``opus`` (about 12 kb/s) or ``wav``.
        examples: number of further utterances of test voices, as ``root/example-N`` with their text beside.
        jobs: number of voices that are synthesized in parallel (None: one per core).

    Raises:
        InputError: a faulty grammar, numbers that do not go together, or espeakng-loader is missing.
    """
    _check_counts(seed=seed, dev_voices=dev_voices, test_voices=test_voices, examples=examples)
    _check_counts(1, voices=voices, utterances=utterances, jobs=jobs if jobs is not None else 1)
    if audio_format not in FORMATS:
        raise InputError(f"audio_format is {audio_format!r}: accepted are {', '.join(FORMATS)}")
    if examples > test_voices:
        raise InputError(f"{examples} examples are more than {test_voices} test voices")
    if utterances < voices:
        raise InputError(f"{utterances} utterances are fewer than {voices} voices")
    rules = Grammar.load(grammar) if grammar is not None else Grammar(DEFAULT_GRAMMAR)
    speakers = make_voices(seed, voices, dev_voices, test_voices)
    try:
        (root / "audio").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be written to: {error.strerror}") from error

    def speak_voice(number: int) -> list[MonoCut]:
        count = utterances // voices + (number < utterances % voices)
        return _speak_voice(root, speakers[number], rules, f"{seed} {number}", count, audio_format)

    def speak_example(number: int) -> None:
        voice = speakers[voices - test_voices + number]
        _speak_example(root / f"example-{number + 1}.{audio_format}", voice, rules, f"{seed} example {number}")

    with ThreadPoolExecutor(jobs or available_cores()) as pool:
        cuts = list(pool.map(speak_voice, range(voices)))
        list(pool.map(speak_example, range(examples)))
    train_voices = voices - dev_voices - test_voices
    splits = {
        "train": cuts[:train_voices],
        "dev": cuts[train_voices : train_voices + dev_voices],
        "test": cuts[train_voices + dev_voices :],
    }
    return {name: [cut for voice in part for cut in voice] for name, part in splits.items() if part}


def _check_counts(minimum: int = 0, **counts: object) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < minimum:
            raise InputError(f"{name} is {value!r}: accepted are whole numbers from {minimum}")


def make_voices(seed: int, voices: int, dev: int, test: int) -> list[_espeak.Voice]:
    """Draw distinct voices in the order train, dev, test, with their accents in equal parts.

    No two voices share both accent and variant, and each has its own rate, pitch and range. If there are more voices
    than variants, a variant is used again with another accent.

    Raises:
        InputError: no voice for training, or more voices than espeak-ng has.
    """
    random = Random(f"voices {seed}")
    variants, accents = random.sample(VARIANTS, len(VARIANTS)), random.sample(list(_espeak.ACCENTS), 8)
    most = len(variants) * len(accents)
    if dev + test >= voices or voices > most:
        raise InputError(
            f"{voices} voices, {dev} for dev and {test} for test: accepted are up to {most}, at least one for training"
        )
    pairs = [divmod(number, len(variants)) for number in range(voices)]
    return [
        _espeak.Voice(
            # in every round over the variants each gets the accent after its last one, so that no pair occurs twice
            accents[(variant + around) % len(accents)],
            variants[variant],
            random.randint(*RATE),
            random.randint(*PITCH),
            random.randint(*PITCH_RANGE),
        )
        for around, variant in pairs
    ]


def speaker_name(voice: _espeak.Voice) -> str:
    """Return ``accent_variant``, which is unique in a corpus."""
    return f"{voice.accent}_{voice.variant.lower()}"


def _speak_voice(
    root: Path, voice: _espeak.Voice, grammar: Grammar, seed: str, count: int, audio_format: str
) -> list[MonoCut]:
    name = speaker_name(voice)
    spoken = _utterances(voice, _sentences(grammar, Random(f"sentences {seed}"), count), seed)
    path = root / "audio" / f"{name}.{audio_format}"
    _write_audio(path, np.concatenate([utterance.waveform for utterance in spoken]))
    cuts, start = [], 0
    for number, utterance in enumerate(spoken):
        custom: dict[str, Any] = {
            "phone_times": [list(phone) for phone in utterance.phones],
            "word_times": [list(word) for word in utterance.words],
        }
        cuts.append(
            make_cut(
                f"{name}-{number:03d}",
                path,
                utterance.text,
                name,
                start=start / SAMPLE_RATE,
                duration=len(utterance.waveform) / SAMPLE_RATE,
                phones=" ".join(phone for phone, _, _ in utterance.phones),
                custom=custom,
            )
        )
        start += len(utterance.waveform)
    return cuts


def _speak_example(path: Path, voice: _espeak.Voice, grammar: Grammar, seed: str) -> None:
    """Synthesize one of the longer sentences to its own file."""
    random = Random(f"sentences {seed}")
    draws = [grammar.sample(random) for _ in range(EXAMPLE_DRAWS)]
    text = max(draws, key=lambda draw: len(set(draw.split())))
    [utterance] = _utterances(voice, [text], seed)
    _write_audio(path, utterance.waveform)
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8", newline="\n")


def _sentences(grammar: Grammar, random: Random, count: int) -> list[str]:
    """Draw the sentences of one voice, without repeats as far as the grammar allows."""
    sentences: list[str] = []
    for _ in range(count):
        draws = (grammar.sample(random) for _ in range(DRAWS))
        sentences.append(next((text for text in draws if text not in sentences), grammar.sample(random)))
    return sentences


def _utterances(voice: _espeak.Voice, texts: list[str], seed: str) -> list[SyntheticUtterance]:
    random = Random(f"recording {seed}")
    spoken = _espeak.speak(voice, texts, seed=random.getrandbits(31))
    return [record(text, samples, events, random) for text, (samples, events) in zip(texts, spoken, strict=True)]


def record(text: str, samples: np.ndarray, events: Sequence[_espeak.Event], random: Random) -> SyntheticUtterance:
    """Simulate a recording: resample, add silence at both ends, a gain and noise; the times follow.

    Args:
        text: the sentence.
        samples: (n,) int16 at espeak-ng's sample rate.
        events: of `asr.corpora.synthetic._espeak.speak`.
        random: of silence, gain and noise.
    """
    import soxr

    speech = soxr.resample(samples.astype(np.float32), _espeak.SAMPLE_RATE, SAMPLE_RATE)
    before, behind = (random.randint(*PADDING) * FRAME for _ in range(2))
    waveform = np.zeros(before + -(-len(speech) // FRAME) * FRAME + behind, dtype=np.float32)
    waveform[before : before + len(speech)] = speech
    waveform *= 10 ** (random.uniform(*PEAK_DB) / 20) / np.abs(waveform).max()
    power = np.mean(waveform[before : before + len(speech)] ** 2) / 10 ** (random.uniform(*SNR_DB) / 10)
    waveform += np.sqrt(power) * _noise(len(waveform), random)
    phones, words = timeline(text, events, before / SAMPLE_RATE, len(waveform) / SAMPLE_RATE)
    return SyntheticUtterance(text, np.clip(waveform, -1, 1), phones, words)


def _noise(length: int, random: Random) -> np.ndarray:
    """Generate noise of power 1, (length,) float32, white or falling with the frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(random.getrandbits(64)).standard_normal(length))
    spectrum /= np.arange(1, len(spectrum) + 1) ** random.uniform(0, NOISE_TILT)
    noise = np.fft.irfft(spectrum, length)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def timeline(
    text: str, events: Sequence[_espeak.Event], offset: float, duration: float
) -> tuple[list[tuple[str, float, float]], list[tuple[str, float, float]]]:
    """Convert events to times of phones, which cover 0 to ``duration`` without gaps, and of words.

    espeak-ng marks its position in the synthesized audio, which is not always where a phone begins:

    - A stop is marked at its release. Within speech the word's mark is at the start of the closure, and so are the word
      and its first phone; after a pause that is inaudible, and the word begins at the release.
    - A nasal or liquid before a vowel is synthesized together with the start of the vowel. If a word ends there and the
      next begins with the vowel, the word's mark is at the consonant's: the word begins at the vowel's instead.
    - A liquid after a vowel is synthesized together with it, before its own mark. It would have no duration, and gets
      the last third of the duration of both.

    Args:
        text: the sentence.
        events: of `asr.corpora.synthetic._espeak.speak`.
        offset: seconds of silence before the first event.
        duration: of the utterance, in seconds.

    Returns:
        Phones and words, each (label, start, end) in seconds.

    Raises:
        ValueError: the events do not end with a pause.
    """
    starts: list[tuple[str, float, int]] = [(SILENCE, 0.0, -1)]  # label, start, character of the word
    word_start: float | None = None
    position = -1
    for event in events:
        time = offset + event.sample / _espeak.SAMPLE_RATE
        if event.kind == _espeak.EVENT_WORD:
            word_start, position = time, event.position
            continue
        label = event.label.translate(STRESS) or SILENCE
        previous, previous_start, _ = starts[-1]
        if label == SILENCE == previous:
            continue
        if word_start is not None and label != SILENCE:
            is_late = previous_start < word_start or label[0] not in VOWELS
            if previous != SILENCE and is_late:
                time = word_start
            word_start = None
        starts.append((label, time, -1 if label == SILENCE else position))
    if starts[-1][0] != SILENCE:
        raise ValueError(f"espeak-ng gave no pause at the end of {text!r}")
    times = _spread([start for _, start, _ in starts] + [duration])
    tiles = [(label, times[i], times[i + 1], character) for i, (label, _, character) in enumerate(starts)]
    return [(label, start, end) for label, start, end, _ in tiles], _words(text, tiles)


def _spread(times: list[float]) -> list[float]:
    """Round boundaries to ms; a segment without duration takes the last third of the one before it."""
    times = [round(time, 3) for time in times]
    for i in range(1, len(times) - 1):
        if times[i + 1] <= times[i]:
            times[i] = round(times[i] - (times[i] - times[i - 1]) / 3, 3)
    return times


def _words(text: str, tiles: list[tuple[str, float, float, int]]) -> list[tuple[str, float, float]]:
    """Group phones, which have the position of their word in the text, into words."""
    spans: dict[int, tuple[float, float]] = {}
    for _, start, end, character in tiles:
        if character >= 0:
            spans[character] = (spans.get(character, (start, end))[0], end)
    begins = sorted(spans)
    groups: list[list[str]] = [[] for _ in begins]
    character = 0
    for word in text.split(" "):
        groups[max(0, bisect_right(begins, character) - 1)].append(word)
        character += len(word) + 1
    return [(" ".join(group), *spans[begin]) for group, begin in zip(groups, begins, strict=True)]


def _write_audio(path: Path, waveform: np.ndarray) -> None:
    """Write an audio file in the format of its extension, unless it has these contents already."""
    import soundfile

    buffer = io.BytesIO()
    if path.suffix == ".opus":
        soundfile.write(buffer, waveform, SAMPLE_RATE, "OPUS", format="OGG", compression_level=OPUS_LEVEL)
        content = with_serial_number(buffer.getvalue(), 0)
    else:
        soundfile.write(buffer, waveform, SAMPLE_RATE, "PCM_16", format=path.suffix[1:].upper())
        content = buffer.getvalue()
    write_if_changed(path, content)


def with_serial_number(ogg: bytes, serial: int) -> bytes:
    """Replace the serial number of an Ogg stream (RFC 3533, section 6), which libsndfile draws at random."""
    result, position = bytearray(ogg), 0
    while position < len(result):
        segments = result[position + 26]
        body = position + 27 + segments
        end = body + sum(result[position + 27 : body])
        struct.pack_into("<I", result, position + 14, serial)
        struct.pack_into("<I", result, position + 22, 0)
        struct.pack_into("<I", result, position + 22, _ogg_crc(result[position:end]))
        position = end
    return bytes(result)


def _crc_table_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_CRC_TABLE = [_crc_table_entry(value) for value in range(256)]


def _ogg_crc(page: bytes | bytearray) -> int:
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC_TABLE[(crc >> 24) ^ byte]
    return crc
