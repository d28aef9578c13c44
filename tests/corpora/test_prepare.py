"""``asr prepare``: from a corpus to manifests, as the command line does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner, Result

from asr import corpora
from asr.cli import app
from asr.cli.prepare import prepare
from asr.corpora import hold_out
from asr.corpora.download import Archive
from asr.data import manifest
from asr.errors import InputError

Write = Callable[..., Path]


@pytest.fixture
def libri(tmp_path: Path, sound: Write, text: Write) -> Path:
    for subset, people in (("dev-clean", ["84", "174"]), ("train-clean-5", ["19"]), ("test-clean", ["61"])):
        for person in people:
            chapter = tmp_path / "libri" / subset / person / "7"
            text(chapter / f"{person}-7.trans.txt", f"{person}-7-0 ICE CREAM", f"{person}-7-1 BOX BOX")
            sound(chapter / f"{person}-7-0.flac")
            sound(chapter / f"{person}-7-1.flac")
    return tmp_path / "libri"


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(prepare)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_two_runs_give_the_same_manifests(libri: Path, tmp_path: Path) -> None:
    first = run("librispeech", libri, "--output", tmp_path / "out")
    assert first.exit_code == 0, first.output
    rows = [line.split() for line in first.stdout.splitlines()]
    assert rows[0] == ["split", "hours", "speakers", "utterances", "manifest"]
    assert " ".join(rows[4]).startswith("characters of the texts (case and punctuation as written): ")
    assert rows[1:4] == [
        ["dev-clean", "0.00", "2", "4", str(tmp_path / "out" / "dev-clean.jsonl.gz")],
        ["test-clean", "0.00", "1", "2", str(tmp_path / "out" / "test-clean.jsonl.gz")],
        ["train-clean-5", "0.00", "1", "2", str(tmp_path / "out" / "train-clean-5.jsonl.gz")],
    ]
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert run("librispeech", libri, "--output", tmp_path / "out").stdout.count("(unchanged)") == 3
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_default_output(libri: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("librispeech", "libri", "--splits", "test-clean").exit_code == 0
    assert [path.name for path in (tmp_path / "data" / "librispeech").iterdir()] == ["test-clean.jsonl.gz"]


def test_held_out_speakers_and_lexicon(libri: Path, tmp_path: Path, text: Write) -> None:
    lexicon = text(tmp_path / "dict", "ice AY1 S", "cream K R IY1 M")
    arguments = (
        "librispeech",
        libri,
        "--output",
        tmp_path / "out",
        "--dev-speakers",
        "84",
        "--lexicon",
        lexicon,
    )
    result = run(*arguments, "--keep-stress")
    assert result.exit_code == 0, result.output
    people = {
        path.name: {manifest.speaker(cut) for cut in manifest.read(path)} for path in (tmp_path / "out").iterdir()
    }
    assert people == {"dev.jsonl.gz": {"84"}, "train.jsonl.gz": {"174", "19"}, "test-clean.jsonl.gz": {"61"}}
    assert (
        "train: 2 of 4 utterances have phones; not in the lexicon: 1 words, 4 times; most often box (4)"
        in result.stdout
    )
    dev = manifest.read(tmp_path / "out" / "dev.jsonl.gz")
    assert [manifest.phones(cut) for cut in dev] == ["ay1 s k r iy1 m", None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("nonsense", "."),
            r"corpus='nonsense' is not one of an4, classes, cmudict, commands, flickr8k, ",
        ),
        (("an4", "not/here"), "not/here: no such folder"),
        (
            ("timit", ".", "--download"),
            r"timit cannot be downloaded \(corpora that can: an4, commands, fsdd, librispeech",
        ),
        (("librispeech", ".", "--download"), r"choose with --splits from train-clean-5, dev-clean-2"),
        (("librispeech", ".", "--download", "--splits", "dev"), "choose with --splits"),
        (("an4", ".", "--option", "seed"), "expected KEY=VALUE"),
        (("an4", ".", "--option", "seed=1"), r"an4 has no option seed; it has none"),
        (("an4", ".", "--dev", "10%"), r"an4 has no option dev; it has none"),
        (("folder", ".", "--dev", "10%", "--dev-speakers", "a"), "--dev and --dev-speakers both choose the dev split"),
        (("folder", ".", "--dev", "10"), r"dev=10.0: expected a share of the utterances, as 10% or 0.1"),
        (("folder", ".", "--test", "ten"), r"test=ten: expected a share of the utterances"),
        (
            ("synthetic", ".", "--option", "sead=1"),
            r"synthetic has no option sead \(did you mean seed\?\); it has seed, ",
        ),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise result.exception


def test_unknown_splits_and_speakers(libri: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no split dev \(there are dev-clean, test-clean, train-clean-5\)"):
        corpora.prepare("librispeech", libri, tmp_path, splits=["dev"])
    with pytest.raises(InputError, match=r"speakers 61, x to hold out \(there are 174, 19, 84"):
        corpora.prepare("librispeech", libri, tmp_path, dev_speakers=["84", "x", "61"])
    with pytest.raises(InputError, match="none is left to train on"):
        corpora.prepare("librispeech", libri, tmp_path, dev_speakers=["19"], splits=["train-clean-5"])


def test_hold_out_pools_all_but_test(tmp_path: Path, sound: Write) -> None:
    file = sound(tmp_path / "a.wav")
    splits = {
        name: [manifest.make_cut(name + who, file, "x", who) for who in "ab"] for name in ("train", "dev", "test")
    }
    held = hold_out(splits, ["b"])
    assert {name: [cut.id for cut in cuts] for name, cuts in held.items()} == {
        "train": ["traina", "deva"],
        "dev": ["trainb", "devb"],
        "test": ["testa", "testb"],
    }


def test_download_then_prepare(tmp_path: Path, sound: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(archive: Archive, folder: Path) -> None:
        assert archive.url.startswith("https://github.com/")
        sound(folder / "recordings" / "0_theo_0.wav")

    monkeypatch.setattr("asr.corpora.download.fetch_and_extract", unpack)
    (split,) = corpora.prepare("fsdd", tmp_path / "new", tmp_path / "out", download=True)
    assert (split.name, split.summary.utterances, split.changed) == ("test", 1, True)


def test_options_reach_the_corpus(tmp_path: Path, sound: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = ModuleType("corpus")
    file = sound(tmp_path / "a.wav")
    corpus.prepare = lambda root, *, seed, kind: {"all": [manifest.make_cut(f"{kind}{seed + 1}", file, "x")]}  # type: ignore[attr-defined]
    monkeypatch.setattr(corpora, "load", lambda name: corpus)
    result = run("x", tmp_path, "--output", tmp_path / "out", "--option", "seed=1", "--option", "kind=b")
    assert result.exit_code == 0, result.output
    assert [cut.id for cut in manifest.read(tmp_path / "out" / "all.jsonl.gz")] == ["b2"]


def test_shares_of_classes(tmp_path: Path, sound: Write) -> None:
    for number in range(40):
        sound(tmp_path / "in" / "yes" / f"{number}.wav")
    result = run("classes", tmp_path / "in", "--output", tmp_path / "out", "--dev", "30%", "--test", "0.3")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("dev.jsonl.gz", "test.jsonl.gz", "train.jsonl.gz")
    ]
    assert len(manifest.read(tmp_path / "out" / "train.jsonl.gz")) < 28


@pytest.mark.parametrize("arguments", [["folder", "--help"], ["folder", ".", "--help"], ["--help", "folder"]])
def test_the_help_of_a_corpus_shows_its_layout_and_columns(arguments: list[str]) -> None:
    output = CliRunner().invoke(app, ["prepare", *arguments]).output
    assert "DIR/anna/001.wav  DIR/anna/001.txt" in output
    assert "    start, end        of a segment" in output
    assert "Options (--option KEY=VALUE): dev=0.0 test=0.0 skip_bad=0 tier=''" in output
    assert "DIR/anna" not in CliRunner().invoke(app, ["prepare", "--help"]).output


def test_the_characters_are_counted_and_the_rare_ones_are_named(tmp_path: Path, sound: Write, text: Write) -> None:
    for number in range(10):
        sound(tmp_path / "in" / f"{number}.wav")
        text(tmp_path / "in" / f"{number}.txt", "open the door" + (" 50 %\u200b" if number == 7 else ""))
    result = run("folder", tmp_path / "in", "--output", tmp_path / "out")
    common, rare, hint = result.stdout.splitlines()[-3:]
    assert common.endswith("(case and punctuation as written): o 30 space 22 e 20 p 10 n 10 t 10 h 10 d 10 r 10")
    assert rare == "rare characters (fewer than 2 times): " + ", ".join(
        f"{c} 1 (first in 7)" for c in ("5", "0", "%", "U+200B")
    )
    assert "--spell-numbers" in hint


def test_file_names_that_are_not_utf8(tmp_path: Path, sound: Write, text: Write) -> None:
    name = os.fsdecode(b"caf\xe9")
    sound(tmp_path / "in" / "x.wav").rename(tmp_path / "in" / f"{name}.wav")
    text(tmp_path / "in" / f"{name}.txt", "aab")
    result = run("folder", tmp_path / "in", "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "rare characters (fewer than 2 times): b 1 (first in caf\\xe9)"
    assert [cut.id for cut in manifest.read(tmp_path / "out" / "all.jsonl.gz")] == [name]


def test_the_command_imports_nothing_heavy() -> None:
    code = "import sys, asr.cli.prepare; print({'torch', 'lhotse', 'numpy', 'soundfile'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
