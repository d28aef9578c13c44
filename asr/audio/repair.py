"""Views of files whose beginning misleads libsndfile."""

from __future__ import annotations

from typing import BinaryIO, cast

from asr.audio.headers import id3_size

# Beginnings of files that are not MP3; some programs write an ID3 tag in front of them.
NOT_MP3 = (b"RIFF", b"RF64", b"riff", b"FORM", b"OggS", b"caff", b".snd", b"NIST", b"fLaC", b"\x1aE\xdf\xa3")
MAX_CHUNKS = 64  # before the data of a WAV file
MAX_FORMAT_BYTES = 256
CHUNKS = (b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"JUNK")  # which may follow a chunk
UNKNOWN_SIZE = b"\xff\xff\xff\xff"  # as ffmpeg writes it to a pipe


def without_tag(file: BinaryIO) -> BinaryIO:
    """Return the file without ID3 tags in front of a format other than MP3: libsndfile counts them off its length."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(12)
        if len(head) < 12 or head[:3] != b"ID3":
            break
        start += id3_size(head)
    is_other = head.startswith(NOT_MP3) or head[4:8] == b"ftyp"
    return cast(BinaryIO, _View(file, start=start)) if start and is_other else file


def with_size(file: BinaryIO) -> BinaryIO:
    """Return a WAV, RF64 or AU file with a misleading header as one that libsndfile reads.

    Data of size 0 in front of samples have an unknown size then: their program stopped before it wrote it. The file is
    left as it is if chunks follow that fill it to its end, as the data are empty then. A byte of padding that a WAV
    file lacks after a chunk of odd size is made good.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b".snd":
        empty = head[8:] == bytes(4) and int.from_bytes(head[4:8], "big") < end
        return cast(BinaryIO, _View(file, at=8, content=UNKNOWN_SIZE)) if empty else file
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return file
    at, is_odd, format_chunk = 12, False, b""
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        name = file.read(8)
        if len(name) < 8:
            return file
        size = int.from_bytes(name[4:], "little")
        if name[:4] == b"data":
            unsized = at + 8 < end and not _are_chunks(file, at + 8, end)
            if head[:4] == b"RF64":  # its size is in the first chunk, ds64
                file.seek(28)
                if not unsized or file.read(8) != bytes(8):
                    return file
                return cast(BinaryIO, _View(file, at=28, content=(end - at - 8).to_bytes(8, "little")))
            if is_odd and format_chunk:
                content = b"RIFF" + UNKNOWN_SIZE + b"WAVE" + format_chunk
                return cast(BinaryIO, _View(file, start=at - len(content), content=content))
            return cast(BinaryIO, _View(file, at=at + 4, content=UNKNOWN_SIZE)) if unsized and size == 0 else file
        if name[:4] == b"fmt " and size <= MAX_FORMAT_BYTES:
            format_chunk = name + file.read(size) + bytes(size % 2)
        at += 8 + size
        if size % 2:
            file.seek(at)
            misses_padding = file.read(4) in CHUNKS
            is_odd = is_odd or misses_padding
            at += not misses_padding
    return file


def _are_chunks(file: BinaryIO, at: int, end: int) -> bool:
    """Return whether chunks with names of letters follow each other to the end."""
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        if not all(0x20 <= byte < 0x7F for byte in head[:4]):
            return False
        size = int.from_bytes(head[4:], "little")
        at += 8 + size + size % 2
    return at in (end, end + 1)


class _View:
    """A file without its first ``start`` bytes, and with ``content`` at offset ``at``."""

    def __init__(self, file: BinaryIO, *, start: int = 0, at: int = 0, content: bytes = b"") -> None:
        self._file = file
        self._start = start
        self._at = at
        self._content = content

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset + self._start if whence == 0 else offset, whence) - self._start

    def read(self, size: int = -1) -> bytes:
        begin = self.tell()
        data = self._file.read(size)
        first, last = max(begin, self._at), min(begin + len(data), self._at + len(self._content))
        if first < last:
            patch = self._content[first - self._at : last - self._at]
            data = data[: first - begin] + patch + data[last - begin :]
        return data
