"""Flickr8k from its publisher's layout and from copies of it, and ``asr prepare`` with a corpus that is no speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr import corpora
from asr.corpora import flickr8k
from asr.data import caption_manifest
from asr.errors import InputError

Write = Callable[..., Path]
Asr = Callable[..., object]


@pytest.fixture(params=[".", "Flickr8k_text"])
def root(tmp_path: Path, text: Write, request: pytest.FixtureRequest) -> Path:
    """Images 1 to 5, of which 5 is in no list; 2 is named as one of the publisher's is."""
    home = tmp_path / "flickr8k" / request.param
    names = ["1_a.jpg", "2_b.jpg.1", "3_c.jpg", "4_d.jpg", "5_e.jpg"]
    lines = [f"{name}#{i}\tImage {name[0]} , caption {i} ." for name in names for i in range(2)]
    text(home / "Flickr8k.token.txt", *lines)
    text(home / "Flickr_8k.trainImages.txt", "2_b.jpg", "1_a.jpg")
    text(home / "Flickr_8k.devImages.txt", "3_c.jpg")
    text(home / "Flickr_8k.testImages.txt", "4_d.jpg")
    for name in ("1_a.webp", "2_b.jpg", "3_c.PNG", "4_d.webp", "5_e.webp", "notes.txt"):
        text(tmp_path / "flickr8k" / "images" / name)
    return tmp_path / "flickr8k"


def test_splits(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = flickr8k.prepare(root)
    images = {split: [(item.id, Path(item.image).name) for item in items] for split, items in splits.items()}
    assert images == {
        "train": [("2_b", "2_b.jpg"), ("1_a", "1_a.webp")],
        "dev": [("3_c", "3_c.PNG")],
        "test": [("4_d", "4_d.webp")],
    }
    assert splits["train"][0].captions == ("image 2 caption 0", "image 2 caption 1")
    assert not caplog.records


def test_missing_images_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "images" / "1_a.webp").unlink()
    (root / "images" / "4_d.webp").unlink()
    assert {split: len(items) for split, items in flickr8k.prepare(root).items()} == {"train": 1, "dev": 1}
    assert "2 of 4 images in the lists are missing and were left out (the first: 1_a)" in caplog.text
    for name in ("2_b.jpg", "3_c.PNG"):
        (root / "images" / name).unlink()
    with pytest.raises(InputError, match="none of the 4 images in the lists exists"):
        flickr8k.prepare(root)


def append(root: Path, name: str, line: str) -> None:
    path = next(root.rglob(name))
    path.write_text(path.read_text() + line + "\n")


@pytest.mark.parametrize("line", ["1_a.jpg#5 no tab", "1_a.jpg\tno number", "1_a#0\tno extension", "1_a.jpg#5\t ."])
def test_malformed_captions(root: Path, line: str) -> None:
    append(root, "Flickr8k.token.txt", line)
    with pytest.raises(InputError, match=r"token\.txt, line 11: expected name\.jpg#number, a tab and a caption, got"):
        flickr8k.prepare(root)


def test_names_without_captions(root: Path) -> None:
    append(root, "Flickr_8k.devImages.txt", "6_f.jpg")
    with pytest.raises(InputError, match=r"devImages\.txt, line 2: 6_f\.jpg has no captions in Flickr8k\.to"):
        flickr8k.prepare(root)


def test_missing_files(root: Path) -> None:
    next(root.rglob("Flickr_8k.devImages.txt")).unlink()
    with pytest.raises(InputError, match=r"devImages\.txt: cannot be read: No such file"):
        flickr8k.prepare(root)
    with pytest.raises(InputError, match="no Flickr8k here"):
        flickr8k.prepare(root / "images")


def test_the_command(root: Path, tmp_path: Path, asr: Callable) -> None:
    result = asr("prepare", "flickr8k", root, "--output", tmp_path / "out")
    assert result.status == 0, result.err
    assert [line.split() for line in result.out.splitlines()] == [
        ["split", "images", "captions", "manifest"],
        ["train", "2", "4", str(tmp_path / "out" / "train.jsonl")],
        ["dev", "1", "2", str(tmp_path / "out" / "dev.jsonl")],
        ["test", "1", "2", str(tmp_path / "out" / "test.jsonl")],
    ]
    assert caption_manifest.read(tmp_path / "out" / "train.jsonl") == flickr8k.prepare(root)["train"]
    again = asr("prepare", "flickr8k", root, "--output", tmp_path / "out", "--splits", "dev")
    assert again.out.count("(unchanged)") == 1


@pytest.mark.parametrize("options", [{"dev_speakers": ["a"]}, {"lexicon": "cmudict.dict"}])
def test_options_of_speech(root: Path, tmp_path: Path, options: dict) -> None:
    with pytest.raises(InputError, match="flickr8k is a corpus of captions; only corpora of speech take a lexicon"):
        corpora.prepare("flickr8k", root, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_real_sizes(shared_data: Path) -> None:
    if not (shared_data / "flickr8k").is_dir():
        pytest.skip(f"no flickr8k in {shared_data}")
    splits = flickr8k.prepare(shared_data / "flickr8k")
    assert {split: caption_manifest.summary(items) for split, items in splits.items()} == {
        "train": (6000, 30000),
        "dev": (1000, 5000),
        "test": (510, 2550),
    }
