"""Corpora: from a folder as its publisher ships it to manifests, one for each split.

To add a corpus, write a module and add its line to `CORPORA`. The module has:

- ``prepare(root: Path, **options) -> dict[str, items]``: the items of each split (for speech, Lhotse cuts that
  `asr.data.manifest.make_cut` makes); it raises InputError for a folder that is not this corpus. Its keyword arguments
  become options of ``asr prepare`` (``--option name=value``).
- ``KIND`` (default "speech"): which of `KINDS` the items are.
- ``DOWNLOADS``, if the publisher offers it: `asr.corpora.download.Archive` by name.

Nothing heavy is imported before `load`.
"""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from asr.errors import InputError
from asr.utils.options import check_choice, check_names, did_you_mean

if TYPE_CHECKING:
    from lhotse import MonoCut

    from asr.corpora.add_phones import Coverage

CORPORA = {
    "an4": "asr.corpora.an4",
    "classes": "asr.corpora.classes",
    "cmudict": "asr.corpora.cmudict",
    "commands": "asr.corpora.commands",
    "flickr8k": "asr.corpora.flickr8k",
    "folder": "asr.corpora.folder",
    "fsdd": "asr.corpora.fsdd",
    "librispeech": "asr.corpora.librispeech",
    "ljspeech": "asr.corpora.ljspeech",
    "speechocean762": "asr.corpora.speechocean762",
    "synthetic": "asr.corpora.synthetic.corpus",
    "timit": "asr.corpora.timit",
}

# Kinds of items, each with the module of its manifests, which has ``write(items, path) -> changed``, ``summary(items)``
# (a named tuple of numbers) and ``EXTENSION``.
KINDS = {"speech": "asr.data.manifest", "captions": "asr.data.caption_manifest", "pairs": "asr.data.pairs"}


@dataclass(frozen=True)
class Split:
    """A manifest that `prepare` wrote.

    Attributes:
        name: of the split.
        path: of the manifest.
        summary: its size, the kind's named tuple of numbers.
        changed: False if the file had these contents already.
        coverage: of the pronouncing dictionary, if there is one.
        characters: occurrences of each character in the texts, and the first utterance with it (speech only).
        numbers: occurrences of what has digits and could not be spelled out, if that was asked for.
    """

    name: str
    path: Path
    summary: Any
    changed: bool
    coverage: Coverage | None = None
    characters: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)


def load(name: str) -> ModuleType:
    """Import the module of a corpus. Raises InputError for a name that is not in `CORPORA`."""
    check_choice("corpus", name, CORPORA)
    return importlib.import_module(CORPORA[name])


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise InputError for options that a corpus does not have; it is named, and those that it has."""
    check_names(name, options, list(inspect.signature(load(name).prepare).parameters)[1:])


def describe(name: str) -> str:
    """Return the documentation of a corpus for the command line: its module's, and the options with their defaults."""
    corpus = load(name)
    parameters = list(inspect.signature(corpus.prepare).parameters.values())[1:]
    options = " ".join(
        p.name if p.default is p.empty or p.default is None else f"{p.name}={p.default!r}" for p in parameters
    )
    return f"{name}: {inspect.getdoc(corpus)}\n\nOptions (--option KEY=VALUE): {options or 'none'}"


def prepare(
    name: str,
    root: str | Path,
    output: str | Path,
    *,
    lexicon: str | Path | None = None,
    keep_stress: bool = False,
    spell: bool = False,
    download: bool = False,
    dev_speakers: Sequence[str] = (),
    splits: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> list[Split]:
    """Write ``output/<split>.jsonl.gz`` (captions: .jsonl, pairs: .tsv) for each split of a corpus.

    A second run changes nothing.

    Args:
        name: of the corpus, see `CORPORA`.
        root: folder of the corpus.
        output: folder of the manifests.
        lexicon: pronouncing dictionary; utterances get phones if it has all their words (speech only).
        keep_stress: keep the stress digits of its vowels.
        spell: write the numbers in texts as English words (speech only).
        download: download the corpus to ``root`` first, from its publisher.
        dev_speakers: see `hold_out` (speech only).
        splits: only these splits of the corpus (with ``download``: only these archives).
        options: further arguments of the corpus's own ``prepare``.

    Raises:
        InputError: an unknown corpus, split or option, or a ``root`` that is not this corpus.
    """
    from asr.corpora.add_phones import add_phones
    from asr.text.lexicon import read_lexicon

    corpus, root, output = load(name), Path(root), Path(output)
    kind = getattr(corpus, "KIND", "speech")
    if kind != "speech" and (lexicon or dev_speakers or spell):
        what = "a lexicon or dev speakers" if lexicon or dev_speakers else "--spell-numbers"
        raise InputError(f"{name} is a corpus of {kind}; only corpora of speech take {what}")
    if download:
        _download(name, corpus, root, splits)
    if not root.exists() and name != "synthetic":  # which writes its audio there
        raise InputError(f"{root}: no such folder (give the folder of {name})")
    check_options(name, options or {})
    pronunciations = read_lexicon(lexicon, keep_stress) if lexicon else None
    items = _choose(corpus.prepare(root, **(options or {})), splits, root)
    if dev_speakers:
        items = hold_out(items, dev_speakers)
    manifests = importlib.import_module(KINDS[kind])
    results = []
    for split, chosen in items.items():
        coverage = None
        numbers: Counter[str] = Counter()
        if spell:
            chosen, numbers = spell_texts(chosen)
        if pronunciations is not None:
            chosen, coverage = add_phones(chosen, pronunciations)
        path = output / f"{split}{manifests.EXTENSION}"
        changed = manifests.write(chosen, path)
        characters = count_characters((item.id, manifests.text(item)) for item in chosen) if kind == "speech" else {}
        results.append(Split(split, path, manifests.summary(chosen), changed, coverage, characters, numbers))
    return results


def spell_texts(cuts: Iterable[MonoCut]) -> tuple[list[MonoCut], Counter[str]]:
    """Write the numbers in the texts of cuts as English words; return all cuts, and what is left with digits."""
    from lhotse.utils import fastcopy

    from asr.text.numbers import numbers_left, spell_numbers

    result, left = [], Counter[str]()
    for cut in cuts:
        supervision = cut.supervisions[0]
        if (text := spell_numbers(supervision.text)) != supervision.text:
            cut = fastcopy(cut, supervisions=[fastcopy(supervision, text=text)])
        left.update(numbers_left(text))
        result.append(cut)
    return result, left


def count_characters(texts: Iterable[tuple[str, str]]) -> dict[str, tuple[int, str]]:
    """Count the characters of (utterance, text) pairs: occurrences, and the first utterance, of each."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for id, text in texts:
        counts.update(text)
        for character in set(text) - first.keys():
            first[character] = id
    return {character: (count, first[character]) for character, count in counts.most_common()}


def hold_out(splits: dict[str, list[MonoCut]], speakers: Collection[str]) -> dict[str, list[MonoCut]]:
    """Make all utterances of ``speakers`` the split ``dev`` and the others ``train``; splits named test… stay.

    Raises:
        InputError: a speaker who is in none of the splits, or no speaker is left for ``train``.
    """
    from asr.data import manifest

    result = {name: cuts for name, cuts in splits.items() if name.startswith("test")}
    pool = [cut for name, cuts in splits.items() if name not in result for cut in cuts]
    known = {manifest.speaker(cut) for cut in pool}
    if unknown := sorted(set(speakers) - known):
        some = ", ".join(sorted(known)[:10])
        raise InputError(f"no utterance of the speakers {', '.join(unknown)} to hold out (there are {some}, …)")
    train = [cut for cut in pool if manifest.speaker(cut) not in speakers]
    if not train:
        raise InputError("all speakers are held out: none is left to train on")
    return {"train": train, "dev": [cut for cut in pool if manifest.speaker(cut) in speakers], **result}


def _choose(items: dict[str, list[Any]], names: Sequence[str], root: Path) -> dict[str, list[Any]]:
    if unknown := [f"{name}{did_you_mean(name, items)}" for name in names if name not in items]:
        raise InputError(f"{root}: no split {', '.join(unknown)} (there are {', '.join(items)})")
    return {name: items[name] for name in names} if names else items


def _download(name: str, corpus: ModuleType, root: Path, names: Sequence[str]) -> None:
    from asr.corpora.download import fetch_and_extract

    archives = getattr(corpus, "DOWNLOADS", {})
    if not archives:
        offered = [other for other in CORPORA if hasattr(load(other), "DOWNLOADS")]
        raise InputError(f"{name} cannot be downloaded (corpora that can: {', '.join(offered)})")
    if len(archives) == 1:
        names = list(archives)
    if not names or not set(names) <= set(archives):
        raise InputError(f"--download of {name}: choose with --splits from {', '.join(archives)}")
    for archive in names:
        fetch_and_extract(archives[archive], root)
