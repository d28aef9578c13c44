"""Find chapters of LibriSpeech in the books that were read, for speech with punctuation, pauses included.

    python recipes/english/punctuated_speech.py FOLDER LibriSpeech/train-clean-5 LibriSpeech/dev-clean --books *.txt
    asr prepare folder FOLDER --output data/punctuated

Utterances of a chapter that follow each other in the book are joined, because LibriSpeech is cut at pauses. A recording
(.flac) and its text with punctuation (.txt) are written for each stretch, in a folder for each speaker.
"""

from __future__ import annotations

import argparse
import glob
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from rapidfuzz.distance import Levenshtein

from asr import audio
from asr.evaluation.punctuation import project
from asr.text.punctuated import MARKS, PunctuatedWord, read_paragraph, read_prose
from asr.utils.text_files import read_lines

RATE = 16000
ORDER = 4  # of the word n-grams that find an utterance in a book
MIN_MATCH = 0.85  # share of an utterance's words that are in the book
MAX_SKIP = 3  # words between utterances that still follow each other


class Book:
    """The words of a book, and where each of its n-grams stands."""

    def __init__(self, path: str) -> None:
        self.words = [word for paragraph in read_prose(read_lines(path)) for word in paragraph]
        self.bare = [word.word for word in self.words]
        self.places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for at in range(len(self.bare) - ORDER + 1):
            self.places[tuple(self.bare[at : at + ORDER])].append(at)

    def find(self, spoken: Sequence[str]) -> tuple[int, int] | None:
        """Return the first word of an utterance in the book, and the one behind its last; None if it is not there."""
        starts: Counter[int] = Counter()
        for at in range(len(spoken) - ORDER + 1):
            starts.update((place - at) // ORDER for place in self.places.get(tuple(spoken[at : at + ORDER]), ())[:20])
        if not starts:
            return None
        near = max(0, ORDER * starts.most_common(1)[0][0] - 15)
        part = self.bare[near : near + len(spoken) + 40]
        equal = [edit for edit in Levenshtein.opcodes(part, list(spoken)) if edit.tag == "equal"]
        if sum(edit.dest_end - edit.dest_start for edit in equal) < MIN_MATCH * len(spoken):
            return None
        first, last = equal[0], equal[-1]
        return max(0, near + first.src_start - first.dest_start), near + last.src_end + len(spoken) - last.dest_end


def main() -> None:
    """Write the stretches of all chapters that are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", nargs="+", type=Path, help="parts of LibriSpeech")
    parser.add_argument("--books", nargs="+", required=True)
    args = parser.parse_args()
    books = [Book(path) for path in args.books]
    chapters = sorted(path for folder in args.folders for path in folder.glob("*/*/*.trans.txt"))
    for chapter in chapters:
        stretches: list[tuple[list[str], list[PunctuatedWord]]] = []
        behind: tuple[int, int] | None = None  # book and word that the next utterance should begin with
        for line in chapter.read_text(encoding="utf-8").splitlines():
            id, *spoken = line.lower().split()
            found = next(((n, place) for n, book in enumerate(books) if (place := book.find(spoken))), None)
            if found is None:
                behind = None
                continue
            number, (first, end) = found
            words = project(books[number].words[first:end], spoken)
            if behind is None or behind[0] != number or abs(first - behind[1]) > MAX_SKIP:
                stretches.append(([], []))
            stretches[-1][0].append(id)
            stretches[-1][1].extend(words)
            behind = number, end
        for ids, words in stretches:
            write(args.output / ids[0].split("-")[0] / ids[0], chapter.parent, ids, words)
        count = sum(len(ids) for ids, _ in stretches)
        print(f"{chapter.name.removesuffix('.trans.txt')}: {len(stretches)} stretches, {count} utterances")


def write(path: Path, folder: Path, ids: Sequence[str], words: Sequence[PunctuatedWord]) -> None:
    """Write a stretch: the joined recording and its text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [next(name for name in glob.glob(f"{folder}/{id}.*")) for id in ids]
    soundfile.write(path.with_suffix(".flac"), np.concatenate([audio.read(name, RATE) for name in files]), RATE)
    text = " ".join(word.form + MARKS[word.mark] for word in words)
    assert len(read_paragraph(text)) > 0
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
