"""Downloads from a local server that drops connections, ignores ranges, lies or refuses."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from asr.corpora import download
from asr.corpora.download import Archive, extract, fetch, fetch_and_extract
from asr.errors import InputError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Publisher(ThreadingHTTPServer):
    """Serves ``files``; the first ``drops`` answers stop after ``drop_after`` bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/corpus.bin": CONTENT}
        self.drops = 0
        self.drop_after = 300_000
        self.resumes = True
        self.errors: list[int] = []
        self.requested: list[str | None] = []

    def url(self, name: str = "corpus.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        content, header = self.server.files.get(self.path), self.headers.get("Range")
        self.server.requested.append(header)
        if self.server.errors or content is None:
            self.send_error(self.server.errors.pop(0) if self.server.errors else 404)
            return
        first = int(header.removeprefix("bytes=").removesuffix("-")) if header and self.server.resumes else 0
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        end = len(content)
        if self.server.drops:
            self.server.drops -= 1
            end = first + self.server.drop_after
        self.wfile.write(content[first:end])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_fetch(publisher: Publisher, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = fetch(publisher.url(), tmp_path / "new" / "corpus.bin", md5=MD5)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["corpus.bin"]
    assert "corpus.bin" in capfd.readouterr().err  # the progress bar
    fetch(publisher.url(), path, md5=MD5)
    assert publisher.requested == [None]


def test_a_dropped_connection_is_resumed(publisher: Publisher, tmp_path: Path) -> None:
    publisher.drops = 3
    path = fetch(publisher.url(), tmp_path / "corpus.bin", md5=MD5, progress=False, wait=0)
    assert path.read_bytes() == CONTENT
    assert publisher.requested == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_server_that_ignores_ranges_sends_all_again(publisher: Publisher, tmp_path: Path) -> None:
    publisher.drops, publisher.resumes = 2, False
    path = fetch(publisher.url(), tmp_path / "corpus.bin", md5=MD5, progress=False, wait=0)
    assert path.read_bytes() == CONTENT
    assert len(publisher.requested) == 3


def test_the_next_run_goes_on(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT[:500_000])
    assert fetch(publisher.url(), tmp_path / "corpus.bin", md5=MD5, progress=False).read_bytes() == CONTENT
    assert publisher.requested == ["bytes=500000-"]


@pytest.mark.parametrize("extra", [b"", b"x"])
def test_a_complete_or_too_long_part(publisher: Publisher, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT + extra)
    path = fetch(publisher.url(), tmp_path / "corpus.bin", md5=MD5, progress=False, wait=0)
    assert path.read_bytes() == CONTENT
    assert len(publisher.requested) == (2 if extra else 1)


def test_busy_servers_are_tried_again_a_few_times(publisher: Publisher, tmp_path: Path) -> None:
    publisher.errors = [503, 429]
    assert fetch(publisher.url(), tmp_path / "a", progress=False, wait=0).read_bytes() == CONTENT
    publisher.errors = [500] * download.ATTEMPTS
    with pytest.raises(InputError, match=r"gave up after 5 attempts .*500.*run the same command again"):
        fetch(publisher.url(), tmp_path / "b", progress=False, wait=0)
    publisher.drops, publisher.drop_after = 100, 0
    with pytest.raises(InputError, match=r"gave up .*lost at 0 of 1024000 bytes"):
        fetch(publisher.url(), tmp_path / "c", progress=False, wait=0)


def test_wrong_checksums(publisher: Publisher, tmp_path: Path) -> None:
    faults: list[dict[str, Any]] = [{"md5": "0" * 32}, {"sha256": "0" * 64}]
    for sums in faults:
        with pytest.raises(InputError, match=rf"{next(iter(sums))} is .*corpus\.bin is 000"):
            fetch(publisher.url(), tmp_path / "corpus.bin", progress=False, **sums)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "corpus.bin").write_bytes(b"something else")
    with pytest.raises(InputError, match="md5 is "):
        fetch(publisher.url(), tmp_path / "corpus.bin", md5=MD5, progress=False)


def test_a_missing_file_and_no_server(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.bin: the server answers 404"):
        fetch(publisher.url("none.bin"), tmp_path / "x", progress=False)
    assert publisher.requested == [None]
    url = publisher.url()
    publisher.shutdown()
    publisher.server_close()
    with pytest.raises(InputError, match="gave up"):
        fetch(url, tmp_path / "x", progress=False, wait=0)
    assert list(tmp_path.iterdir()) == []


def tar(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_fetch_and_extract_once(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/c.tar.gz"] = tar({"c/wav/a.wav": b"a" * 3_000_000, "c/README": b"b"})
    for _ in range(2):
        fetch_and_extract(Archive(publisher.url("c.tar.gz")), tmp_path)
    assert (tmp_path / "c" / "wav" / "a.wav").read_bytes() == b"a" * 3_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [".c.tar.gz.done", "c"]
    assert publisher.requested == [None]


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("c/link")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "members",
    [
        {"../evil": b"x"},
        {"c/../../evil": b"x"},
        {"/tmp/evil": b"x"},
        {"c/link": link(tarfile.SYMTYPE)},
        {"c/link": link(tarfile.LNKTYPE)},
        {"c/link": link(tarfile.CHRTYPE)},
    ],
)
def test_archives_cannot_reach_outside(tmp_path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "c.tar.gz").write_bytes(tar(members))
    with pytest.raises(InputError, match="refused to extract"):
        extract(tmp_path / "c.tar.gz", tmp_path / "in")
    assert list((tmp_path / "in").rglob("*")) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"not a tar file", tar({"a": bytes(range(256)) * 1000})[:-300]])
def test_damaged_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.tar.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.tar\.gz: cannot be extracted"):
        extract(tmp_path / "c.tar.gz", tmp_path / "in")
