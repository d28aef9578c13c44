"""Downloads of corpora from their publishers: resumed after a lost connection, verified, extracted safely."""

from __future__ import annotations

import hashlib
import http.client
import logging
import lzma
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from asr.errors import InputError

log = logging.getLogger(__name__)

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte after which a connection counts as lost
ATTEMPTS = 5  # in a row without a new byte
RETRIED = (408, 429)  # "request timeout" and "too many requests"; 500 and above are tried again too

Report = Callable[[int, int | None], None]  # takes the bytes received and, if known, the total


class Archive(NamedTuple):
    """A file that a publisher offers, with its checksum if a trustworthy one is known."""

    url: str
    md5: str | None = None
    sha256: str | None = None


class _Incomplete(Exception):
    """The transfer ended early; what has been received is kept, and the rest requested again."""


def fetch_and_extract(archive: Archive, folder: Path) -> None:
    """Download a tar archive and extract it to ``folder``, once: a small hidden file there marks it as done.

    Raises:
        InputError: see `fetch` and `extract`.
    """
    name = archive.url.rsplit("/", 1)[-1]
    done = folder / f".{name}.done"
    if done.exists() and done.read_text(encoding="utf-8").strip() == archive.url:
        log.info("%s was downloaded already", archive.url)
        return
    path = folder / name
    fetch(archive.url, path, md5=archive.md5, sha256=archive.sha256)
    extract(path, folder)
    done.write_text(archive.url + "\n", encoding="utf-8")
    path.unlink()


def fetch(
    url: str,
    path: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    progress: bool = True,
    wait: float = 1.0,
) -> Path:
    """Download ``url`` to ``path``, which appears only when it is complete and verified.

    An interrupted download continues where it stopped, in this call or the next one: what has been received is in
    ``path`` + ``.part``. A file that exists already is only verified.

    Args:
        url: to download.
        path: file to write.
        md5: checksum, in hexadecimal.
        sha256: checksum, in hexadecimal.
        progress: show a progress bar on stderr.
        wait: seconds before the second attempt, doubled for each one after it.

    Returns:
        ``path``.

    Raises:
        InputError: the server refuses or cannot be reached, or the file has another checksum.
    """
    if path.exists():
        _verify(path, md5, sha256, url)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    with _progress(path.name if progress else None) as report:
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _transfer(url, part, report)
                break
            except (_Incomplete, urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in RETRIED:
                    raise InputError(f"{url}: the server answers {error.code} {error.reason}") from error
                grown = part.exists() and part.stat().st_size > before
                failures = 1 if grown else failures + 1
                if failures >= ATTEMPTS:
                    message = f"{url}: gave up after {failures} attempts in a row without progress ({error})"
                    raise InputError(f"{message}; run the same command again to continue") from error
                log.warning("%s: %s; trying again", url, error)
                time.sleep(min(wait * 2 ** (failures - 1), 60.0))
    try:
        _verify(part, md5, sha256, url)
    except InputError:
        part.unlink()  # continuing from wrong bytes would always fail
        raise
    part.replace(path)
    return path


def _transfer(url: str, part: Path, report: Report) -> None:
    """Request what ``part`` does not have yet. Raises _Incomplete if less is received than announced."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # complete: the last run stopped between download and verification
        part.unlink()
        raise _Incomplete("the part was longer than the file") from error
    with response:
        if have and (response.status != 206 or not _continues(response.headers.get("Content-Range"), have)):
            have = 0  # the server does not resume: it sends the whole file
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with part.open("ab" if have else "wb") as file:
            while block := response.read1(BLOCK):
                file.write(block)
                have += len(block)
                report(have, total)
    if total is not None and have < total:
        raise _Incomplete(f"the connection was lost at {have} of {total} bytes")


def _continues(content_range: str | None, have: int) -> bool:
    return content_range is not None and content_range.startswith(f"bytes {have}-")


def _verify(path: Path, md5: str | None, sha256: str | None, url: str) -> None:
    for name, expected in (("md5", md5), ("sha256", sha256)):
        if expected is None:
            continue
        digest = hashlib.new(name, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != expected:
            raise InputError(f"{path}: {name} is {digest.hexdigest()}, but that of {url} is {expected}")


@contextmanager
def _progress(name: str | None) -> Iterator[Report]:
    """Show a progress bar on stderr; none without a name."""
    if name is None:
        yield lambda have, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda have, total: bar.update(task, completed=have, total=total)


def extract(archive: Path, folder: Path) -> None:
    """Extract a tar file (plain, gzip, bzip2 or xz) below ``folder``.

    Raises:
        InputError: no tar file, a truncated one, or a member that is a link, a device, or outside ``folder``.
    """
    try:
        with tarfile.open(archive, "r:*") as members:
            for member in members:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                    raise InputError(f"{archive}: refused to extract {member.name!r}: a link or outside {folder}")
                target = folder / name
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                source = members.extractfile(member)
                assert source is not None  # a regular file always has contents
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, BLOCK)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{archive}: cannot be extracted: {error}") from error
