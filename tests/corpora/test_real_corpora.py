"""The real corpora give the utterances, speakers and hours that the README beside them states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from asr.corpora import CORPORA, hold_out, load
from asr.corpora.add_phones import add_phones
from asr.data.manifest import ManifestSummary, phones, speaker, summary, text
from asr.text.lexicon import read_lexicon

Prepare: TypeAlias = Callable[[str, str], dict[str, list[Any]]]

# corpus, folder → split: utterances, speakers, hours
EXPECTED = {
    ("an4", "an4"): {"train": (848, 66, 0.63), "dev": (100, 8, 0.08), "test": (130, 10, 0.10)},
    ("librispeech", "LibriSpeech"): {"dev-clean": (1072, 16, 2.16), "train-clean-100": (1106, 250, 3.70)},
    ("speechocean762", "speechocean762"): {
        "train": (2260, 113, 2.47),
        "dev": (240, 12, 0.40),
        "test": (1920, 96, 2.05),
    },
    ("ljspeech", "LJSpeech-1.1"): {"train": (385, 1, 0.69)},
    ("ljspeech", "kathleen"): {"train": (1142, 1, 0.97)},
    # of the 160 recordings, the 32 of the SA sentences are left out
    ("timit", "timit_sample"): {"train": (96, 12, 0.08), "dev": (16, 2, 0.01), "test": (16, 2, 0.01)},
    ("fsdd", "fsdd"): {"train": (2400, 6, 0.29), "dev": (300, 6, 0.04), "test": (300, 6, 0.04)},
}


@pytest.fixture(scope="module")
def prepared(shared_data: Path) -> Prepare:
    """Splits of a corpus, read once; the test is skipped where the corpus is absent."""
    prepared: dict[str, dict[str, list[Any]]] = {}

    def prepare(name: str, folder: str) -> dict[str, list[Any]]:
        if not (shared_data / folder).is_dir():
            pytest.skip(f"no {folder} in {shared_data}")
        if folder not in prepared:
            prepared[folder] = load(name).prepare(shared_data / folder)
        return prepared[folder]

    return prepare


def rounded(size: ManifestSummary) -> tuple[int, int, float]:
    return size.utterances, size.speakers, round(size.hours, 2)


@pytest.mark.parametrize(("name", "folder"), EXPECTED)
def test_sizes(prepared: Prepare, name: str, folder: str) -> None:
    splits = prepared(name, folder)
    assert {split: rounded(summary(cuts)) for split, cuts in splits.items()} == EXPECTED[name, folder]
    assert all(text(cut).strip() for cuts in splits.values() for cut in cuts)
    people = [{speaker(cut) for cut in cuts} for cuts in splits.values()]
    if name != "fsdd":  # its publisher's test set has the training speakers
        assert sum(map(len, people)) == len(set().union(*people))


def test_librispeech_development_set(prepared: Prepare) -> None:
    splits = hold_out(prepared("librispeech", "LibriSpeech"), ["84", "174", "251", "422"])
    assert {name: rounded(summary(cuts)) for name, cuts in splits.items()} == {
        "train": (1943, 262, 5.32),
        "dev": (235, 4, 0.54),
    }


def test_an4_development_set_is_the_end_of_the_speakers_by_name(prepared: Prepare) -> None:
    splits = prepared("an4", "an4")
    assert max(map(speaker, splits["train"])) < min(map(speaker, splits["dev"]))
    assert not any(set(text(cut)) & set("<>()+") for cuts in splits.values() for cut in cuts)


def test_speechocean762_development_set_is_the_end_of_the_speakers_by_number(prepared: Prepare) -> None:
    splits = prepared("speechocean762", "speechocean762")
    assert max(int(speaker(cut)) for cut in splits["train"]) < min(int(speaker(cut)) for cut in splits["dev"])


def test_timit_sample_has_all_phones(prepared: Prepare) -> None:
    from asr.text.phones import TIMIT_61

    cuts = [cut for cuts in prepared("timit", "timit_sample").values() for cut in cuts]
    phone_set = {phone for cut in cuts for phone in (phones(cut) or "").split()}
    assert phone_set <= set(TIMIT_61) and len(phone_set) > 55
    for cut in cuts:
        times = cut.supervisions[0].custom["phone_times"]
        assert [phone for phone, _, _ in times] == (phones(cut) or "").split()
        assert all(start < end for _, start, end in times)
        assert times[-1][2] <= cut.duration + 0.001


def test_cmudict_on_kathleen(prepared: Prepare, shared_data: Path) -> None:
    if not (lexicon := shared_data / "text" / "cmudict" / "cmudict.dict").is_file():
        pytest.skip(f"no {lexicon}")
    from asr.text.phones import ARPABET

    cuts, coverage = add_phones(prepared("ljspeech", "kathleen")["train"], read_lexicon(lexicon))
    assert (coverage.covered, coverage.utterances, coverage.unknown.total()) == (1112, 1142, 30)
    assert {phone for cut in cuts for phone in (phones(cut) or "").split()} == set(ARPABET)


def test_every_module_can_be_loaded() -> None:
    assert all(callable(load(name).prepare) for name in CORPORA)
