"""Read sizes and lengths from the first and last bytes of audio files, which tell whether a file is cut short."""

from __future__ import annotations

import re
import zlib
from typing import BinaryIO

from asr.audio.backend import damaged, report_damage

MAX_PAGE_BYTES = 65_307  # of Ogg
OPUS_RATE = 48_000  # Hz, of granule positions
REFLECTED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bytes with their bits in the other order


def id3_size(head: bytes) -> int:
    """Return the number of bytes of an ID3 tag, given its first 10: the size is in four bytes of seven bits."""
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)  # a footer may follow


def is_unknown_size(size: int) -> bool:
    """Return whether a 32-bit size is one that programs write which write to a pipe: they cannot go back to fill it in.

    ffmpeg writes 0xFFFFFFFF, sox 0x7FFFFFFF less the header, arecord 0x80000000, others 0.
    """
    return size == 0 or size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x8000FFFF


def promised_bytes(file: BinaryIO) -> int:
    """Return the size of the file by the header of RIFF (WAV, AVI), AIFF or AU; 0 for others, or if it is unknown."""
    file.seek(0)
    head = file.read(12).ljust(12, b"\0")
    if head[:4] == b"RIFF":
        size, header = int.from_bytes(head[4:8], "little"), 8
    elif head[:4] == b"FORM":
        size, header = int.from_bytes(head[4:8], "big"), 8
    elif head[:4] == b".snd":
        size, header = int.from_bytes(head[8:12], "big"), int.from_bytes(head[4:8], "big")
    else:
        return 0
    return 0 if is_unknown_size(size) else header + size


def looks_like_mp3(file: BinaryIO) -> bool:
    """Return whether a file begins with an ID3 tag or with the mark of an MPEG frame."""
    file.seek(0)
    head = file.read(3)
    return head == b"ID3" or (len(head) == 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def mp3_has_length(file: BinaryIO) -> bool:
    """Return whether a Xing, Info or VBRI tag gives the length of the whole file.

    Without one libsndfile takes the first frame's bit rate for that of the file and may stop at a quarter of
    it; of concatenated files it reads the first.
    """
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = id3_size(head)
    file.seek(start)
    frame = file.read(1024)
    tag = re.search(b"Xing|Info", frame)
    if tag is None:
        return b"VBRI" in frame
    fields = frame[tag.end() : tag.end() + 12].ljust(12, b"\0")  # flags, frames, bytes: 32 bits each
    has_frames, has_bytes = fields[3] & 1, fields[3] & 2
    num_bytes = int.from_bytes(fields[8:12], "big")
    # a tag that counts fewer bytes than there are belongs to the first of several files
    return bool(has_frames) and not (has_bytes and num_bytes < 0.98 * (file.seek(0, 2) - start))


def has_other_ogg_stream(file: BinaryIO) -> bool:
    """Return whether the last page of an Ogg file belongs to another stream than the first: libsndfile reads one."""
    file.seek(0)
    serial = file.read(18)[14:]
    page = _last_ogg_page(file)
    return len(page) >= 18 and page[14:18] != serial


def check_ogg(file: BinaryIO, name: str, sample_rate: int, strict: bool) -> bool:
    """Report damaged pages of an Ogg file, one that ends within a page, and one whose last page is not the stream's.

    Args:
        file: a file that can seek.
        name: of the file, for messages.
        sample_rate: of its stream, in Hz.
        strict: refuse a file that is damaged or ends within a page.

    Returns:
        Whether all pages are there, and belong to one stream.

    Raises:
        AudioError: ``strict`` is set, and the file is damaged or ends within a page.
    """
    file.seek(0)
    rate = OPUS_RATE if b"OpusHead" in file.read(64) else sample_rate
    granule, is_chained = _scan_pages(file)
    if granule is not None:
        report_damage(damaged(name, granule / rate, "a page is damaged or missing"), strict)
    page = _last_ogg_page(file)
    whole = len(page) > 26 and len(page) >= _page_bytes(page)
    if not whole or not page[5] & 4:
        # a live recording that was stopped has no mark either
        report_damage(f"{name}: no end-of-stream mark: cut short, or recorded live", strict and not whole)
    return granule is None and not is_chained


def _scan_pages(file: BinaryIO) -> tuple[int | None, bool]:
    """Look for pages that are damaged or missing, and for a stream that begins anew (as in joined copies of a file).

    libsndfile leaves out what such a page holds without a word, so that all that follows comes too early.

    Returns:
        The granule position of the page before the first one that is damaged or missing, None if there is none; and
        whether a stream begins anew before that.
    """
    granule, numbers, is_chained = 0, dict[bytes, int](), False
    at, end = 0, file.seek(0, 2)
    while at < end:
        file.seek(at)
        page = file.read(27 + 255)
        if page[:4] != b"OggS":
            return (granule if _has_page(file, at) else None), is_chained  # else it is padding
        if len(page) < 27 or len(page) < 27 + page[26] or at + _page_bytes(page) > end:
            return None, is_chained  # the end is cut off
        file.seek(at)
        page = file.read(_page_bytes(page))
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        if _ogg_checksum(page) != int.from_bytes(page[22:26], "little"):
            return granule, is_chained
        if page[5] & 2 and serial in numbers:  # the first page of a stream
            is_chained = True
        elif numbers.get(serial, number - 1) != number - 1:
            return granule, is_chained
        numbers[serial] = number
        position = int.from_bytes(page[6:14], "little")
        granule = position if position < 2**63 else granule  # -1: no packet ends on the page
        at += len(page)
    return None, is_chained


def _has_page(file: BinaryIO, at: int) -> bool:
    """Return whether an Ogg page begins at or behind an offset."""
    file.seek(at)
    before = b""
    while block := file.read(2**16):
        if b"OggS" in before + block:
            return True
        before = block[-3:]
    return False


def _page_bytes(page: bytes) -> int:
    """Return the size of an Ogg page by its header, which is whole."""
    return 27 + page[26] + sum(page[27 : 27 + page[26]])


def _ogg_checksum(page: bytes) -> int:
    """Return the checksum of a page: a CRC-32 like zlib's, but from the highest bit of each byte on."""
    reflected = (page[:22] + bytes(4) + page[26:]).translate(REFLECTED)
    crc = zlib.crc32(reflected, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(REFLECTED), "big")


def _last_ogg_page(file: BinaryIO) -> bytes:
    """Return the last page of an Ogg file, or what there is of it."""
    file.seek(max(0, file.seek(0, 2) - MAX_PAGE_BYTES - 500))
    tail = file.read()
    return tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
