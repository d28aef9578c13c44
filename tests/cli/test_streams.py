"""Standard streams that are closed, full, of other encodings, or not read to their end; pipes as inputs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.cli import _streams
from asr.utils.escape import ESCAPE, escape_surrogates, json_for, to_json

Command = Callable[..., Any]
ASR = f"{sys.executable} -m asr"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"} | environment
    )


# -- full disks, closed streams, broken pipes


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("--help > /dev/full", 1, "cannot write standard output: No space left on device"),
        ("info {run} > /dev/full", 1, "cannot write standard output: No space left on device"),
        ("transcribe --help >&-", 1, "standard output is closed"),
        ("info {run} >&-", 1, "standard output is closed"),
        ("lm train - --output {folder}/x.arpa <&-", 1, "standard input is closed"),
        ("transcribe - --model {run} <&-", 1, "standard input is closed"),
        ("transcribe {run}/corpus/train0.wav --model {run} > /dev/full", 1, "cannot write standard output: No space"),
        ("lm score {folder}/none.arpa - 2>&- <&-", 1, ""),
        ("info {run} 2> /dev/full > /dev/null", 0, ""),
    ],
)
def test_one_line_and_a_status(command: str, status: int, message: str, tone_run: Path, tmp_path: Path) -> None:
    done = shell(f"{ASR} {command.format(run=tone_run, folder=tmp_path)}")
    error = done.stderr.decode()
    assert done.returncode == status, error
    assert len(error.splitlines()) == bool(message) and message in error and done.stdout == b""


def test_outputs_are_written_without_any_standard_stream(corpus: Path, tone_run: Path, tmp_path: Path) -> None:
    done = shell(f"{ASR} transcribe {corpus}/train0.wav --model {tone_run} --output-dir {tmp_path} <&- >&- 2>&-")
    assert done.returncode == 0 and (tmp_path / "train0.txt").read_text().strip()


def test_a_reader_that_stops_ends_it_quietly(corpus: Path, tone_run: Path) -> None:
    for command in ("--help", f"transcribe {corpus} --model {tone_run}"):
        done = shell(f"{ASR} {command} | true; exit ${{PIPESTATUS[0]}}")
        assert done.returncode in (1, 141) and done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(asr: Command, corpus: Path, tone_run: Path, tmp_path: Path) -> None:
    for option in ("--json", "--details"):
        outcome = asr("evaluate", tone_run, corpus / "train.jsonl", option, "/dev/full")
        assert outcome.err == "asr: error: cannot write /dev/full: No space left on device\n" and outcome.status == 1
        assert "head text" in outcome.out  # what was done is not lost
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train1.txt").symlink_to("/dev/full")
    files = [corpus / f"train{i}.wav" for i in range(3)]
    outcome = asr("transcribe", *files, "--model", tone_run, "--output-dir", tmp_path / "out", "--overwrite")
    assert outcome.status == 1 and outcome.err.count("\n") == 1
    assert outcome.err.endswith("out/train1.txt: No space left on device\n")


def test_an_error_in_the_middle_loses_nothing(
    asr: Command, corpus: Path, tone_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr.inference.recognizer import Recognizer

    whole = Recognizer.transcribe_all

    def interrupted(self: Recognizer, sources: Any) -> Any:
        for number, item in enumerate(whole(self, sources)):
            if number == 3:
                raise OSError(5, "Input/output error", "disk")
            yield item

    monkeypatch.setattr(Recognizer, "transcribe_all", interrupted)
    outcome = asr("transcribe", corpus, "--model", tone_run)
    assert outcome.status == 1 and len(outcome.out.splitlines()) == 3
    assert outcome.err == "asr: error: cannot write disk: Input/output error\n"
    outcome = asr("transcribe", corpus, "--model", tone_run, "--format", "json")
    assert len(json.loads(outcome.out)) == 3


# -- encodings


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "cp932", "utf-8:strict"])
def test_a_console_of_any_encoding(encoding: str, corpus: Path, tone_run: Path, tmp_path: Path) -> None:
    codec = encoding.partition(":")[0]
    content = (corpus / "train0.wav").read_bytes()
    for name in ("ümläut.wav".encode(), b"caf\xe9.wav"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(content)
    help_text = shell(f"{ASR} transcribe --help", PYTHONIOENCODING=encoding)
    assert help_text.returncode == 0 and "--hotwords" in help_text.stdout.decode(codec)
    text = shell(f"{ASR} transcribe {tmp_path} --model {tone_run}", PYTHONIOENCODING=encoding)
    lines = text.stdout.decode(codec).splitlines()
    assert text.returncode == 0 and text.stderr == b"" and len(lines) == 2
    assert lines[0].startswith(f"{tmp_path}/caf\\xe9.wav: ")
    assert "ml" in lines[1]
    document = shell(f"{ASR} transcribe {tmp_path} --model {tone_run} --format json", PYTHONIOENCODING=encoding)
    sources = [item["source"] for item in json.loads(document.stdout.decode(codec))]
    assert sources == [f"{tmp_path}/caf\udce9.wav", f"{tmp_path}/ümläut.wav"]  # the name itself


def test_escapes() -> None:
    assert "a…b–c\udce9é".encode("ascii", ESCAPE) == rb"a...b-c\xe9\xe9"
    assert "日".encode("latin-1", ESCAPE) == rb"\u65e5"
    assert escape_surrogates("ü\udce9\ud800") == "ü\\xe9\\ud800"
    assert to_json({"a\udce9": "\\é"}) == r'{"a\udce9": "\\é"}'
    assert json_for('"é😀"', "ascii") == '"\\u00e9\\ud83d\\ude00"' and json_for('"é"', "latin-1") == '"é"'


def test_nothing_is_written_after_an_error() -> None:
    raw = _streams._Output(os.open("/dev/full", os.O_WRONLY), "x")
    with pytest.raises(OSError, match="x"):
        raw.write(b"a")
    assert raw.write(b"a") == 1
    os.close(raw.descriptor)
    quiet = _streams._Output(-1, "")
    assert quiet.write(b"a") == 1


# -- pipes


def test_pipes_are_files(corpus: Path, tone_run: Path, tmp_path: Path) -> None:
    files = f"<(cat {corpus}/train0.wav) {corpus}/train1.wav /dev/stdin"
    done = shell(f"cat {corpus}/train2.wav | {ASR} transcribe {files} --model {tone_run}")
    whole = shell(f"{ASR} transcribe {corpus}/train[0-2].wav --model {tone_run}")
    texts = [[line.partition(b": ")[2] for line in run.stdout.splitlines()] for run in (done, whole)]
    assert done.returncode == 0 and texts[0] == texts[1] and len(texts[0]) == 3
    names = [line.partition(b": ")[0] for line in done.stdout.splitlines()]
    assert names[0].startswith(b"/dev/fd/") and names[2] == b"/dev/stdin"


def test_a_named_pipe_has_its_own_output(asr: Command, corpus: Path, tone_run: Path, tmp_path: Path) -> None:
    import threading

    os.mkfifo(tmp_path / "call.wav")
    writer = threading.Thread(
        target=lambda: (tmp_path / "call.wav").write_bytes((corpus / "train0.wav").read_bytes()), daemon=True
    )
    writer.start()
    out = tmp_path / "out"
    assert (
        asr("transcribe", tmp_path / "call.wav", "--model", tone_run, "--output-dir", out, "--format", "json")[0] == 0
    )
    assert json.loads((out / "call.json").read_text())["source"] == f"{tmp_path}/call.wav"


def test_devices_and_standard_input_twice(asr: Command, tone_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asr("transcribe", "/dev/zero", "--model", tone_run).check_refusal("/dev/zero: is a device; give a file")
    asr("transcribe", "-", "/dev/stdin", "--model", tone_run).check_refusal("can be read only once")
    monkeypatch.setattr(sys, "stdin", _streams._ClosedInput())
    with pytest.raises(Exception, match="standard input is closed"):
        sys.stdin.read()
    with pytest.raises(Exception, match="standard output is closed"):
        print("x", file=_streams._ClosedOutput())
    assert io.TextIOBase in _streams._ClosedOutput.__mro__


def test_a_folder_that_has_been_deleted(asr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    try:
        asr("--help").check_refusal("the current folder has been deleted; change to another one")
    finally:
        os.chdir(tmp_path)
