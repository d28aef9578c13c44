"""Mutated texts, tables, dictionaries, models and annotations give a result or an InputError, and never hang."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import soundfile

from asr.data import manifest, pairs, texts
from asr.data.lm_text import read_sentences, read_words
from asr.errors import InputError
from asr.lm import arpa
from asr.text.lexicon import read_lexicon
from asr.text.vocabulary import Vocabulary

MAX_SECONDS = 10.0  # of the CPU
ARPA = b"""\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.6\t</s>
-0.4\ta\t-0.3

\\2-grams:
-0.2\t<s> a
-0.15\ta </s>

\\end\\
"""
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "a ""b"" c"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "öne"
        intervals [2]:
            xmin = 0.5
            xmax = 1
            text = ""
"""
EAF = """<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="5"/>
<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="500"/></TIME_ORDER>
<TIER TIER_ID="x"><ANNOTATION><ALIGNABLE_ANNOTATION
TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>one</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER></ANNOTATION_DOCUMENT>"""
SRT = "1\n00:00:00,100 --> 00:00:00,500\n<i>one</i>\n\n2\n00:00:00,500 --> 00:00:00,900\ntwo\n"
TABLE = 'audio,text,start,end,speaker\na.wav,one,0,0.5,x\na.wav,"two, three",0.5,1,0\n'
PLAIN = TABLE.replace('"two, three"', "two")
SPLICES = [
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r", b"\n\n", b'"', b"'", b"\t", b";", b",", b"[", b"{", b"}", b"]"),
    *(b"\\", b"nan", b"-1", b"1e999", b"99999999999999999999", b"null", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(
        b"\xf0\x9f\x98\x80",
        b"\x80",
        b"\x1f\x8b",
        b"<",
        b">",
        b"&",
        b"-->",
        b"xmin = 0",
        b"ngram 1=4",
        b"[x]",
        b"0.5",
        b"\xed\xa0\x80",
        b"sep=;\n",
    ),
]


def cut(folder: Path) -> dict:
    return manifest.make_cut("c", folder / "a.wav", "one", "x", custom={"phones": "a b"}).to_dict()


def rows(folder: Path) -> list[dict]:
    row = {"audio_filepath": "a.wav", "text": "one", "offset": 0, "duration": 0.5, "speaker": 0, "id": 1}
    return [row, cut(folder)]


def excel(folder: Path) -> bytes:
    book = openpyxl.Workbook()
    for line in PLAIN.splitlines():
        book.active.append(line.split(",")[:5])
    book.save(folder / "seed.xlsx")
    return (folder / "seed.xlsx").read_bytes()


def vocabulary(folder: Path) -> bytes:
    Vocabulary.characters("abc '").save(folder / "seed.txt")
    return (folder / "seed.txt").read_bytes()


def read_every_text(path: Path) -> None:
    list(read_sentences([path]))
    texts.read_document(path)


Seed = Callable[[Path], bytes]
KINDS: dict[str, tuple[Seed, Callable[[Path], object]]] = {
    "m.csv": (lambda _: TABLE.encode(), manifest.read),
    "m.tsv": (lambda _: PLAIN.replace(",", "\t").encode(), manifest.read),
    "m.jsonl": (lambda folder: "\n".join(map(json.dumps, rows(folder))).encode(), manifest.read),
    "m.json": (lambda folder: json.dumps(rows(folder), indent=1).encode(), manifest.read),
    "m.xlsx": (excel, manifest.read),
    "a.TextGrid": (lambda _: TEXTGRID.encode(), manifest.read),
    "a.eaf": (lambda _: EAF.encode(), manifest.read),
    "a.srt": (lambda _: SRT.encode(), manifest.read),
    "lm.arpa": (lambda _: ARPA, arpa.read),
    "lexicon": (lambda _: b"ONE [one] 0.5 W AH1 N\ntwo\t1\t0.1\t1\tT UW1\n<x> SPN\n'em(2) AH0 M # x\n", read_lexicon),
    "vocabulary.txt": (vocabulary, Vocabulary.load),
    "pairs.tsv": (lambda _: b"one\tW AH N\ntwo\tT UW\n", pairs.read),
    "words": (lambda _: b"one\ntwo(2) T UW\n;;; x\n", read_words),
    "texts.csv": (lambda _: b"id;sentence\n1;one\n2;two\n", read_every_text),
}


def mutate(data: bytes, random_: random.Random) -> bytes:
    """Change a few places: bytes, pieces, repetitions, an early end."""
    for _ in range(random_.randint(1, 4)):
        at, end = sorted(random_.randint(0, len(data)) for _ in range(2))
        end = min(end, at + 40)
        data = random_.choice(
            [
                data[:at] + random_.choice(SPLICES) + data[at:],
                data[:at] + random_.choice(SPLICES) + data[end:],
                data[:at] + data[end:],
                data[:end] + data[at:end] * random_.randint(1, 3) + data[end:],
                data[:at] + bytes([random_.randrange(256)]) + data[at + 1 :],
                data[:at],
            ]
        )
    return data


def check(kind: str, folder: Path, count: int) -> None:
    soundfile.write(folder / "a.wav", np.zeros(8000), 8000)
    seed, read = KINDS[kind]
    content, random_ = seed(folder), random.Random(kind)
    path = folder / kind
    path.write_bytes(content)
    read(path)
    for number in range(count):
        path.write_bytes(mutated := mutate(content, random_))
        began = time.process_time()
        try:
            read(path)
        except InputError:
            pass
        except BaseException as error:
            raise AssertionError(f"{kind}, {number}: {type(error).__name__}: {error}, of {mutated!r}") from error
        assert time.process_time() - began < MAX_SECONDS, mutated


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, 30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, 2000)
