"""The files of a folder: links followed, hidden files and those of systems left out."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from asr.cli._inputs import find_inputs
from asr.errors import InputError
from asr.utils.folders import list_files


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in list_files(root, {".wav"})]


def test_hidden_files_and_litter_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b" / "c.WAV", tmp_path / "notes.txt", tmp_path / "Thumbs.db")
    for litter in ("._a.wav", ".DS_Store", "@eaDir/a.wav", ".Trashes/501/a.wav", "__MACOSX/b/._c.wav",
                   "b/#recycle/a.wav", "$RECYCLE.BIN/a.wav", "lost+found/x.wav", ".hidden.wav"):  # fmt: skip
        touch(tmp_path / litter)
    assert names(tmp_path) == ["a.wav", "b/c.WAV"]
    assert find_inputs([f"{tmp_path}/**/*.wav"], {".wav"}) == [f"{tmp_path}/a.wav"]
    assert find_inputs([f"{tmp_path}/@eaDir/*.wav"], {".wav"}) == [f"{tmp_path}/@eaDir/a.wav"]  # asked for by name
    assert find_inputs([f"{tmp_path}/.hidden.wav"], {".wav"}) == [f"{tmp_path}/.hidden.wav"]
    assert find_inputs([f"{tmp_path}/.Trashes"], {".wav"}) == [f"{tmp_path}/.Trashes/501/a.wav"]
    touch(tmp_path / "only" / "._a.wav")
    with pytest.raises(InputError, match="hidden ones do not count"):
        find_inputs([f"{tmp_path}/only"], {".wav"})


def test_links_are_followed_each_folder_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    touch(root / "real" / "a.wav", other / "b.wav")
    (root / "also").symlink_to(root / "real")  # sorts first, and yet the folder keeps its own name
    (root / "cycle").symlink_to(root)
    (root / "outside").symlink_to(other)
    (other / "back").symlink_to(root)
    (root / "file.wav").symlink_to(other / "b.wav")
    (root / "broken.wav").symlink_to(tmp_path / "nowhere.wav")
    with caplog.at_level(logging.WARNING):
        assert names(root) == ["file.wav", "outside/b.wav", "real/a.wav"]
    assert "broken.wav: skipped: a link to" in caplog.text
    (tmp_path / "link").symlink_to(root)
    assert len(names(tmp_path / "link")) == 3
    with pytest.raises(InputError, match=r"broken.wav: a link to .*nowhere.wav, which does not exist"):
        find_inputs([f"{root}/broken.wav"], {".wav"})


def test_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "a" / "x.wav", tmp_path / "b" / "y.wav")
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if path.name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == ["b/y.wav"]
    assert "a: skipped: Permission denied" in caplog.text
