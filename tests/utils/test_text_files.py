"""Text files: plain and compressed, in UTF-8 with or without a byte-order mark, and what is wrong with others."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.errors import InputError
from asr.utils.text_files import first_bytes, read_lines, read_text

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress
}  # fmt: skip


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("content", ["é\n\nb", "é\n\nb\n", "\ufeffé\r\n\r\nb\r\n", "", "\n", "no compression: BZh9"])
def test_content_whatever_the_compression(tmp_path: Path, content: str, suffix: str) -> None:
    text = content.removeprefix("\ufeff").replace("\r\n", "\n")
    for name in ("a.txt" + suffix, "a.txt"):  # the name does not tell
        path = tmp_path / name
        path.write_bytes(COMPRESS[suffix](content.encode()))
        assert read_text(path) == text
        assert list(read_lines(str(path))) == text.removesuffix("\n").split("\n") * bool(text)


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("a\x0b\x85\u2028b\rc\n".encode())
    assert list(read_lines(tmp_path / "a.txt")) == ["a\x0b\x85\u2028b\rc"]


@pytest.mark.parametrize("compressed", [False, True])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    data = "\ufeffé\r\nb".encode()
    for read, expected in ((read_text, "é\nb"), (lambda path: list(read_lines(path)), ["é", "b"])):
        raw = io.BytesIO(gzip.compress(data) if compressed else data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
        assert read("-") == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff")))
    with pytest.raises(InputError, match="-, line 2: not UTF-8 text"):
        list(read_lines("-"))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_recognized_by_their_byte_order_mark(tmp_path: Path, encoding: str, suffix: str) -> None:
    path = tmp_path / ("a.txt" + suffix)
    path.write_bytes(COMPRESS[suffix]("\ufeffé\r\nāb ਊ\r\n".encode(encoding)))
    assert read_text(path) == "é\nāb ਊ\n"
    assert list(read_lines(path)) == ["é", "āb ਊ"]
    path.write_bytes(COMPRESS[suffix](b"\xff\xfea\0b"))
    for read in (read_text, lambda path: list(read_lines(path))):
        with pytest.raises(InputError, match=r"a\.txt.*, line 1: not UTF-8 text"):
            read(path)


@pytest.mark.parametrize("content", ["a\nb\n".encode("utf-16-le"), b"a\nRIFF\0\1"])
def test_zero_bytes_are_not_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    for read in (read_text, lambda path: list(read_lines(path))):
        with pytest.raises(InputError, match=r"line \d: not UTF-8 text \(a binary file, or UTF-16 without"):
            read(tmp_path / "a.txt")


def test_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"mmap lm"))
    assert first_bytes(tmp_path / "a", 4) == b"mmap"
    assert first_bytes(tmp_path / "none", 4) == first_bytes("-", 4) == b""


def test_a_national_encoding_has_a_hint(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a\ncaf\xe9".encode("cp1252"))
    hint = r"a\.csv, line 2: not UTF-8 text \(save it as UTF-8; .* 'CSV UTF-8'; or .*iconv"
    with pytest.raises(InputError, match=hint):
        read_text(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_is_not_utf8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("a.txt" + suffix)
    path.write_bytes(COMPRESS[suffix]("a\ncaf\xe9".encode("latin-1")))
    with pytest.raises(InputError, match=r"a\.txt.*, line 2: not UTF-8 text"):
        read_text(path)
    with pytest.raises(InputError, match=r"a\.txt.*, line 2: not UTF-8 text"):
        list(read_lines(path))
    assert read_text(path, fallback="latin-1") == "a\ncafé"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_a_damaged_file(tmp_path: Path, suffix: str) -> None:
    data = COMPRESS[suffix](bytes(range(32, 127)) * 100)
    whole = tmp_path / ("a" + suffix)
    for broken in (data[:-9], data[:30] + bytes(10) + data[40:]):
        whole.write_bytes(broken)
        for read in (read_text, lambda path: list(read_lines(path))):
            with pytest.raises(InputError, match=rf"a\{suffix}: the compressed file is damaged or cut short"):
                read(whole)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        list(read_lines(tmp_path / "none.txt"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_marks_of_joined_files_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffa\r\n\ufeffb\r\nc\ufeffd\r\n".encode())
    assert read_text(tmp_path / "a.txt") == "a\nb\nc\ufeffd\n"
    assert list(read_lines(tmp_path / "a.txt")) == ["a", "b", "c\ufeffd"]


@pytest.mark.parametrize("content", ["\ufeffé\rb\r\rc", "é\rb\r\rc\r"])
def test_line_ends_of_an_old_mac(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_bytes(content.encode())
    assert list(read_lines(tmp_path / "a.txt")) == ["é", "b", "", "c"]
    assert read_text(tmp_path / "a.txt").removesuffix("\n") == "é\nb\n\nc"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"(\xb5/\xfd\x04\x00", "compressed with Zstandard"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b"%PDF-1.4\nx", "a PDF document"),
        (b"{\\rtf1\\ansi hello}", "a document in Rich Text Format"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    ],
)
def test_other_files_are_named(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    for read in (read_text, lambda path: list(read_lines(path))):
        with pytest.raises(InputError, match=rf"a\.txt: this is {kind}.*, not a text file"):
            read(tmp_path / "a.txt")


def test_a_fallback_encoding_is_said_if_there_is_much_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.dict"
    path.write_bytes(b"ice\n" * 200 + "d\xe9j\xe0\n".encode("latin-1"))
    assert read_text(path, fallback="latin-1").endswith("d\xe9j\xe0\n")
    assert not caplog.records
    path.write_bytes("\u65e5\u672c n i\n".encode("shift-jis"))
    read_text(path, fallback="latin-1")
    assert "a.dict: not UTF-8 text; it is read as latin-1, is " in caplog.text
    path.write_bytes("a\nb\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="UTF-16 without a byte-order mark"):
        read_text(path, fallback="latin-1")
