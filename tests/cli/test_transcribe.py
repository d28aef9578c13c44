"""``asr transcribe``: what it prints, where it writes, and how it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asr.output.formats import FORMATS

Command = Callable[..., Any]


# -- what it writes


def test_one_file_is_printed_plainly_several_with_their_names(
    asr: Command, model: Path, corpus: Path, texts: list[str]
) -> None:
    one = asr("transcribe", corpus / "train0.wav", "--model", model)
    assert one == (0, texts[0] + "\n", "")
    two = asr("transcribe", corpus / "train3.wav", corpus / "train1.wav", "--model", model)
    assert two.out == f"{corpus}/train3.wav: {texts[3]}\n{corpus}/train1.wav: {texts[1]}\n"


def test_a_run_is_a_model(asr: Command, tone_run: Path, corpus: Path, texts: list[str]) -> None:
    assert asr("transcribe", corpus / "train0.wav", "--model", tone_run).out == texts[0] + "\n"


def test_standard_input(asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path) -> None:
    data = (corpus / "train2.wav").read_bytes()
    assert asr("transcribe", "-", "--model", model, stdin=data).out == texts[2] + "\n"
    asr("transcribe", "-", "--model", model, "--output-dir", tmp_path, stdin=data)
    assert (tmp_path / "stdin.txt").read_text() == texts[2] + "\n"
    outcome = asr("transcribe", "-", "--model", model, stdin=b"")
    assert outcome.status == 1 and "empty" in outcome.err


@pytest.mark.parametrize("format", FORMATS)
def test_every_format(format: str, asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path) -> None:
    file = corpus / "train0.wav"
    printed = asr("transcribe", file, "--model", model, "--format", format)
    assert printed.status == 0 and texts[0].split()[0] in printed.out
    written = asr("transcribe", file, "--model", model, "--format", format, "--output-dir", tmp_path)
    assert written == (0, "", "")
    assert (tmp_path / f"train0.{format}").read_text() == printed.out


def test_limits_of_subtitles(asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path) -> None:
    file = corpus / "train0.wav"
    options = ("--model", model, "--format", "srt", "--cue-lines", "1", "--cue-characters", "5")
    printed = asr("transcribe", file, *options).out
    cues = [block.split("\n")[2:] for block in printed.strip().split("\n\n")]
    assert [word for lines in cues for word in lines[0].split()] == texts[0].split()
    assert all(len(lines) == 1 and (len(lines[0]) <= 5 or " " not in lines[0]) for lines in cues)
    asr("transcribe", file, *options, "--output-dir", tmp_path)
    assert (tmp_path / "train0.srt").read_text() == printed
    (tmp_path / "train0.txt").write_text(texts[0])
    aligned = asr("align", file, tmp_path / "train0.txt", *options).out
    assert len(aligned.strip().split("\n\n")) == len(cues)
    asr("transcribe", file, "--model", model, "--cue-seconds", "inf").check_refusal("subtitles: seconds=inf")


def test_json_of_several(asr: Command, model: Path, corpus: Path, texts: list[str]) -> None:
    files = [corpus / f"train{i}.wav" for i in (4, 1)]
    found = json.loads(asr("transcribe", *files, "--model", model, "--format", "json").out)
    assert [item["text"] for item in found] == [texts[4], texts[1]]
    assert [item["source"] for item in found] == list(map(str, files))
    assert [word["text"] for word in found[0]["words"]] == texts[4].split()


def test_folders_and_globs_each_file_once(
    asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(corpus / "train0.wav", tmp_path / "in" / "a.wav")
    shutil.copy(corpus / "train1.wav", tmp_path / "in" / "deep" / "b.WAV")
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    for inputs in (
        [tmp_path / "in"],
        [tmp_path / "in", tmp_path / "in" / "a.wav"],
        [f"{tmp_path}/in/**/*.[wW]*"],
    ):
        outcome = asr("transcribe", *inputs, "--model", model)
        assert outcome.out == f"{tmp_path}/in/a.wav: {texts[0]}\n{tmp_path}/in/deep/b.WAV: {texts[1]}\n"


def test_outputs_of_one_name_do_not_meet(
    asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path
) -> None:
    for i, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        shutil.copy(corpus / f"train{i}.wav", tmp_path / folder / "x.wav")
    samples, rate = soundfile.read(corpus / "train2.wav")
    soundfile.write(tmp_path / "b" / "x.flac", samples, rate)
    outcome = asr("transcribe", tmp_path, "--model", model, "--output-dir", tmp_path / "out")
    assert outcome.status == 0
    found = {str(p.relative_to(tmp_path / "out")): p.read_text().strip() for p in (tmp_path / "out").rglob("*.txt")}
    assert found == {"a/x.txt": texts[0], "b/x.wav.txt": texts[1], "b/x.flac.txt": texts[2]}


def test_batches_change_nothing(asr: Command, model: Path, corpus: Path) -> None:
    whole = asr("transcribe", corpus, "--model", model).out
    assert len(whole.splitlines()) == 8
    assert asr("transcribe", corpus, "--model", model, "--batch-seconds", 1).out == whole


# -- what it refuses


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"these are no samples " * 50, "not audio"),
        ("cut.wav", None, "cut short|truncated|damaged"),
    ],
)
def test_bad_files_are_listed_and_the_others_done(
    name: str,
    content: bytes | None,
    message: str,
    asr: Command,
    model: Path,
    corpus: Path,
    texts: list[str],
    tmp_path: Path,
) -> None:
    bad = tmp_path / name
    bad.write_bytes((corpus / "train0.wav").read_bytes()[:3000] if content is None else content)
    alone = asr("transcribe", bad, "--model", model, "--strict")
    assert alone.status == 1 and alone.out == ""
    assert re.search(f"asr: failed: {bad}: .*({message})", alone.err)
    assert "1 of 1 files failed" in alone.err and "Traceback" not in alone.err
    good = [corpus / "train0.wav", corpus / "train1.wav"]
    outcome = asr("transcribe", good[0], bad, good[1], "--model", model, "--strict", "--output-dir", tmp_path / "out")
    assert outcome.status == 1
    assert outcome.err.count("asr: failed:") == 1 and "asr: 1 of 3 files failed" in outcome.err
    written = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert [path.name for path in written] == ["train0.txt", "train1.txt"]
    assert [path.read_text() for path in written] == [texts[0] + "\n", texts[1] + "\n"]
    printed = asr("transcribe", good[0], bad, good[1], "--model", model, "--strict")
    assert printed.status == 1 and len(printed.out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{none}.wav"], "{none}.wav: no such file, folder or match"),
        (["{folder}"], "{folder}: no files of the kinds .*, .wav.* in this folder"),
        (["{folder}/*.wav"], r"\*.wav: no such file, folder or match"),
        (["{good}", "{none}.wav"], "{none}.wav: no such file"),
        (["{good}", "--model", "{none}"], "{none}: no such model directory"),
        (["{good}", "--model", "{folder}"], "not a model directory"),
        (["{good}", "--format", "pdf"], "format='pdf' is not one of txt, json, srt, vtt, tsv, ctm, TextGrid"),
        (["{good}", "{other}", "--format", "srt"], "--format srt of several files needs --output-dir"),
        (["{good}", "--output-dir", "{good}"], "output directory .*train0.wav is not a folder"),
        (["{good}", "--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, asr: Command, model: Path, corpus: Path, tmp_path: Path
) -> None:
    places = {
        "none": str(tmp_path / "none"),
        "folder": str(tmp_path),
        "good": str(corpus / "train0.wav"),
        "other": str(corpus / "train1.wav"),
    }
    given = [argument.format(**places) for argument in arguments]
    if "--model" not in given:
        given += ["--model", str(model)]
    asr("transcribe", *given).check_refusal(message.format(**places))


@pytest.mark.parametrize("arguments", [[], ["a.wav", "--model", "m", "--batch-seconds", "0"]])
def test_usage_errors(arguments: list[str], asr: Command) -> None:
    outcome = asr("transcribe", *arguments)
    assert outcome.status == 2 and re.match("Usage: .*transcribe", outcome.err)


def test_outputs_are_not_replaced_unasked(asr: Command, model: Path, corpus: Path, tmp_path: Path) -> None:
    command = ["transcribe", corpus / "train0.wav", "--model", model, "--output-dir", tmp_path]
    (tmp_path / "train0.txt").write_text("mine")
    asr(*command).check_refusal(r"1 outputs exist already: .*train0\.txt \(--overwrite replaces them")
    assert (tmp_path / "train0.txt").read_text() == "mine"
    assert asr(*command, "--overwrite").status == 0
    assert (tmp_path / "train0.txt").read_text() != "mine"


def test_transcribe_with_a_language_model(
    asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(texts[0])
    lm = tmp_path / "lm.arpa"
    assert asr("lm", "train", tmp_path / "text.txt", "--output", lm, "--order", 1).status == 0
    same = asr("transcribe", corpus / "train0.wav", "--model", model, "--lm", lm)
    assert same == (0, texts[0] + "\n", "")
    other = asr("transcribe", corpus / "train3.wav", "--model", model, "--lm", lm)
    assert set(other.out.split()) <= set(texts[0].split())
    asr("transcribe", corpus / "train0.wav", "--model", model, "--lm", tmp_path / "no.arpa").check_refusal("no.arpa")


def test_the_next_best_texts(asr: Command, model: Path, corpus: Path, texts: list[str]) -> None:
    files = [corpus / "train0.wav", corpus / "train1.wav"]
    found = json.loads(asr("transcribe", *files, "--model", model, "--format", "json", "--nbest", 9).out)
    assert [item["text"] for item in found] == texts[:2]
    for item in found:
        others = [other["text"] for other in item["alternatives"]]
        assert 2 <= len(others) <= 8 and len({item["text"], *others}) == 1 + len(others)
        assert 0 < item["alternatives"][0]["score_gap"] <= item["alternatives"][1]["score_gap"]
    asr("transcribe", *files, "--model", model, "--nbest", 3).check_refusal("--nbest needs --format json")


# -- going on with a folder, and several formats


def test_only_missing_outputs_are_made(
    asr: Command, model: Path, corpus: Path, texts: list[str], tmp_path: Path
) -> None:
    command = ["transcribe", corpus, "--model", model, "--output-dir", tmp_path]
    assert asr(*command, "--skip-existing") == (0, "", "")  # the first time there is nothing to skip
    for i in (2, 5):
        (tmp_path / f"train{i}.txt").unlink()
    (tmp_path / "train0.txt").write_text("mine")
    outcome = asr(*command, "--skip-existing")
    assert outcome == (0, "", "6 of 8 files had their outputs already\n")
    assert (tmp_path / "train2.txt").read_text() == texts[2] + "\n"
    assert (tmp_path / "train0.txt").read_text() == "mine"
    asr(*command).check_refusal("8 outputs exist already: .*--skip-existing keeps them")
    asr(*command, "--skip-existing", "--overwrite").check_refusal("use one of them")
    asr(*command[:4], "--skip-existing").check_refusal("--skip-existing needs --output-dir")


def test_several_formats_in_one_run(asr: Command, model: Path, corpus: Path, tmp_path: Path) -> None:
    files = [corpus / "train0.wav", corpus / "train1.wav"]
    command = ["transcribe", *files, "--model", model, "--format", "srt, json,srt", "--output-dir", tmp_path]
    assert asr(*command).status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train0.json", "train0.srt", "train1.json", "train1.srt"
    ]  # fmt: skip
    (tmp_path / "train1.srt").unlink()
    assert asr(*command, "--skip-existing").err == "1 of 2 files had their outputs already\n"
    assert (tmp_path / "train1.srt").exists()
    asr(*command[:-2]).check_refusal("several formats need --output-dir")
    asr(*command[:-3], "srt,doc", "--output-dir", tmp_path).check_refusal("format='doc' is not one of")


def test_an_output_that_cannot_be_written_does_not_stop_the_others(
    asr: Command, model: Path, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "train1.txt").mkdir()
    outcome = asr("transcribe", corpus, "--model", model, "--output-dir", tmp_path, "--overwrite")
    assert outcome.status == 1 and "train1.txt: is not a file" in outcome.err and "1 of 8 files failed" in outcome.err
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 7
