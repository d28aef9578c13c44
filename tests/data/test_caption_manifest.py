"""Manifests of captions: the words of a caption, files that come back as they were, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.data import caption_manifest
from asr.data.caption_manifest import CaptionedImage, tokenize
from asr.errors import InputError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A child in a pink dress is climbing up .", "a child in a pink dress is climbing up"),
        ("A dog 's ball", "a dog 's ball"),
        ("The dog's ball.", "the dog 's ball"),
        ('Two dogs, one "Jack"; No. 8 (left) & a boy!', "two dogs one jack no 8 left a boy"),
        ("A man in a T-shirt - off-road--with a hat-", "a man in a t-shirt off-road with a hat"),
        ("' quoted ' do n't rock_climb", "quoted do n 't rock climb"),
        ("Ein CAFÉ, un cafe\u0301", "ein café un café"),
        (" .,!' ", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert tokenize(text) == words


@given(st.text() | st.text("aB'-. _É\u0301İ", max_size=12))
def test_tokenized_text_stays_as_it_is(text: str) -> None:
    words = tokenize(text)
    assert tokenize(words) == words and words.split(" ") == (words.split() or [""])


@pytest.fixture
def items(tmp_path: Path) -> list[CaptionedImage]:
    (tmp_path / "images").mkdir()
    for name in ("a.webp", "b.jpg"):
        (tmp_path / "images" / name).touch()
    return [
        CaptionedImage("a", str(tmp_path / "images" / "a.webp"), ("a dog runs", "a café")),
        CaptionedImage("b", str(tmp_path / "images" / "b.jpg"), ("two girls",)),
    ]


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz"])
def test_written_and_read(tmp_path: Path, items: list[CaptionedImage], name: str) -> None:
    assert caption_manifest.write(items, tmp_path / name)
    assert caption_manifest.read(tmp_path / name) == items
    before = (tmp_path / name).stat().st_mtime_ns
    assert not caption_manifest.write(iter(items), tmp_path / name) and (tmp_path / name).stat().st_mtime_ns == before
    assert caption_manifest.write(items[1:], tmp_path / name)
    assert caption_manifest.summary(items) == (2, 3)


def test_a_folder_with_its_images_can_be_moved(tmp_path: Path, items: list[CaptionedImage]) -> None:
    caption_manifest.write(items, tmp_path / "m.jsonl")
    assert json.loads((tmp_path / "m.jsonl").read_text("utf-8").splitlines()[0]) == {
        "id": "a",
        "image": "images/a.webp",
        "captions": ["a dog runs", "a café"],
    }
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    assert caption_manifest.read(moved / "m.jsonl")[0].image == str(moved / "images" / "a.webp")


def test_lines_of_others(tmp_path: Path, items: list[CaptionedImage]) -> None:
    (tmp_path / "m.jsonl").write_text('\n{"image": "images/b.jpg", "captions": ["Two girls."], "split": "test"}\n')
    assert caption_manifest.read(tmp_path / "m.jsonl") == [CaptionedImage("images/b", items[1].image, ("two girls",))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3: not JSON"),
        ('{"id": "x", "captions": ["a"]}', "line 3: image is None, expected the path of a file"),
        ('{"image": "images/b.jpg"}', "line 3: captions is None, expected a list of texts"),
        ('{"image": "images/b.jpg", "captions": "a dog"}', "line 3: captions is 'a dog', expected a list"),
        ('{"image": "images/b.jpg", "captions": []}', r"line 3: captions is \[\], expected a list"),
        ('{"image": "images/b.jpg", "captions": ["a", "!?"]}', r"line 3: there is no word in the caption '!\?'"),
        ('{"id": "a", "image": "images/b.jpg", "captions": ["a"]}', r"line 3: the id 'a' was used already \(.*line 1"),
        ('{"image": "c.jpg", "captions": ["a"]}', r"1 of 3 images do not exist:\n  .*line 3: .*/c\.jpg"),
    ],
)
def test_wrong_lines(tmp_path: Path, items: list[CaptionedImage], line: str, message: str) -> None:
    caption_manifest.write(items, tmp_path / "m.jsonl")
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match=rf"m\.jsonl.*{message}"):
        caption_manifest.read(tmp_path / "m.jsonl")


def test_wrong_files(tmp_path: Path, items: list[CaptionedImage]) -> None:
    (tmp_path / "m.jsonl").touch()
    with pytest.raises(InputError, match=r"m\.jsonl: the manifest is empty"):
        caption_manifest.read(tmp_path / "m.jsonl")
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read: No such file"):
        caption_manifest.read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"m\.csv: the name of a caption manifest ends in \.jsonl"):
        caption_manifest.read(tmp_path / "m.csv")
    with pytest.raises(InputError, match="two images have the id 'a'"):
        caption_manifest.write([items[0], items[0]], tmp_path / "m.jsonl")
    with pytest.raises(InputError, match="there are no images to write"):
        caption_manifest.write([], tmp_path / "m.jsonl")
