"""The pages of the documentation, README.md and the READMEs: links, commands, and what commands print."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import typer.main
from microphones import FakeSounddevice
from scripts import import_script

from asr.cli import app

ROOT = Path(__file__).parents[1]
LEGACY = Path(__file__).parent / "data" / "legacy"
CLIP = ROOT / "recipes/english/clips/commission.opus"
PROGRAM: Any = typer.main.get_command(app)
ENGLISH = ROOT / "asr/models/pretrained/english"
SERVER = ("fastapi", "uvicorn", "multipart", "prometheus_client")
DIGITS = "recipes/digits/data"
FIGURE = re.compile(r"\d+\.\d+")
FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.DOTALL | re.M)
READMES = [*ROOT.glob("recipes/*/*.md"), ROOT / "benchmarks/README.md", *ROOT.glob("asr/models/*/*/README.md")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *READMES])


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Command(NamedTuple):
    """A command of a page: its words, the file that it reads, and the lines that the page says it prints."""

    words: list[str]
    stdin: str | None
    printed: list[str]


def split(line: str) -> tuple[list[str], str | None]:
    """Return the words of the first command of a line of shell, and the file of its standard input."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    words = list(lexer)
    ends = [i for i, word in enumerate(words) if set(word) <= set("|<>;&")] or [len(words)]
    stdin = words[ends[0] + 1] if ends[0] < len(words) and words[ends[0]] == "<" else None
    return words[: ends[0]], stdin


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands of asr in the blocks of a page; after ``$`` comes what they print.

    Of those in a pipe it is the one that reads from another program.
    """
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        lines = re.sub(r" *\\\n *", " ", block).splitlines() if language in ("", "console") else []
        for number, line in enumerate(lines):
            given = re.sub(r"^[^#]* \| (?=asr )", "", line.strip().removeprefix("$ "))
            if given.startswith("asr ") and "$(" not in given and "…" not in given:
                printed = lines[number + 1 :] if line.startswith("$ ") else []
                ends = [i for i, text in enumerate(printed) if text.startswith("$ ")] or [len(printed)]
                words, stdin = split(given)
                yield Command(words[1:], stdin, printed[: ends[0]])


def parser(words: list[str]) -> tuple[Any, list[str]]:
    """Return the parser of a command, and its arguments."""
    found = PROGRAM
    while words and words[0] in getattr(found, "commands", ()):
        found, words = found.commands[words[0]], words[1:]
    return found, words


@pytest.fixture(scope="module")
def site() -> Any:
    return import_script(ROOT / "docs/make_site.py")


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_files_and_headings(page: Path, site: Any) -> None:
    links = [
        match[2]
        for part in site.CODE.split(page.read_text(encoding="utf-8"))[::2]
        for match in site.LINK.finditer(part)
        if not re.match(r"[a-z]+:", match[2])
    ]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_has_every_page(site: Any, tmp_path: Path) -> None:
    listed = {source for pages in site.NAVIGATION.values() for source in pages.values()}
    assert not {page_name(page) for page in PAGES} - listed
    assert site.stage(tmp_path) == []
    home = (tmp_path / "pages/index.md").read_text(encoding="utf-8")
    assert "files/docs/spikes.png" in home and "## Where things are" not in home
    assert "--close-gaps" in (tmp_path / "pages/commands.md").read_text(encoding="utf-8")
    assert "::: asr.Decoder" in (tmp_path / "pages/api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_are_accepted(page: Path) -> None:
    for words, _, _ in commands(page):
        command, arguments = parser(words)
        if words[0] == "--install-completion":  # it would be installed at once
            continue
        command.make_context(words[0], arguments).close()  # parses the options
    for given in re.findall(r"`asr ([^`\n]*--[^`\n]*)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
        words, _ = split(given)
        known = {name for parameter in parser(words)[0].params for name in parameter.opts} | {"--help"}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert words[0] in ("COMMAND", "NAME") or options <= known | {"--install-completion"}, given


SMALL = ["trainer.epochs=1", "trainer.precision=32-true", "data.perturbation=null"]
SIZE = ["encoder.hidden_size=8"]
TONES = ["features.sample_rate=8000", "features.high_hz=null"]
SMALLER = {  # what is added to the commands that train: one epoch of few utterances, in a network that takes seconds
    "recipes/digits/ctc.yaml": [*SMALL, *SIZE, "task.heads.text.size=40"],
    "recipes/digits/transducer.yaml": [*SMALL, *SIZE, "task.heads.text.size=40"],
    "recipes/english/characters.yaml": [*SMALL, *SIZE, *TONES, "encoder.channels=[2,2]", "data.seconds=20"],
    "recipes/adapt/voice.yaml": SMALL[:2],
}
PHONES = dict(zip("abcdefgh", ["AA1", "B", "K", "D", "EH1", "F", "G", "HH"], strict=True))
CLIPS = ("talk.mp3", "talk.wav", "speech.wav", "interviews/one.flac", "more/two.flac")
NOT_RUN = "--install-completion"  # it would change the shell of who runs the tests; tests/cli/test_completion.py


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tones: Any, tone_texts: Any) -> Path:
    """A folder with the files that pages name: two seconds of speech, tones for training, models."""
    speech, rate = soundfile.read(CLIP, dtype="float32", frames=2 * 16000)
    for name in CLIPS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, speech, rate)
    (tmp_path / "talk.txt").write_text("this commission can recommend no")
    soundfile.write(tmp_path / "call.flac", np.stack([speech, speech[::-1]], axis=1), rate)
    letters = set()
    for number, text in enumerate(tone_texts(40)):
        file = tmp_path / "recordings" / f"speaker{number % 8}" / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, tones(text, number), 8000)
        file.with_suffix(".txt").write_text(text)
        letters |= set(text.split())
    (tmp_path / "cmudict.dict").write_text(
        "".join(f"{word} {' '.join(PHONES[letter] for letter in word)}\n" for word in sorted(letters))
    )
    (tmp_path / "text.txt").write_text("\n".join(tone_texts(40)) + "\n")
    (tmp_path / "samples.raw").write_bytes((speech * 32767).astype("<i2").tobytes())
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes", copy_function=os.symlink)
    for split, count in (("train", 40), ("dev", 4), ("test", 4)):
        manifest = tmp_path / DIGITS / f"{split}.jsonl.gz"
        lines = gzip.decompress(manifest.read_bytes()).splitlines(keepends=True)
        manifest.unlink()
        manifest.write_bytes(gzip.compress(b"".join(lines[:count])))
    for name in ("runs/demo", "runs/mine/seed=2", "MODEL"):
        shutil.copytree(LEGACY / "ctc_text", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(words: list[str]) -> list[str]:
    """Return the words of a command, which trains and exports a small network."""
    if words[0] == "export":
        return [words[0], "runs/demo", *words[2:]]
    if words[0] != "train":
        return words
    recipe, *settings = words[1:]
    added = [] if "init=MODEL" in settings else SMALLER[recipe]
    added = added or SMALLER[recipe]
    names = {setting.partition("=")[0] for setting in added}
    return ["train", recipe, *(word for word in settings if word.partition("=")[0] not in names), *added]


def run_page(page: str, world: Path, asr: Callable[..., Any]) -> int:
    """Run the commands of a page, and return how many there were."""
    count = 0
    for words, stdin, printed in commands(ROOT / page):
        if NOT_RUN in words:
            continue
        stdin = stdin or ("samples.raw" if "-" in words else None)
        outcome = asr(*small(words), stdin=(world / stdin).read_bytes() if stdin else b"")
        assert outcome.status == 0, (words, outcome.err)
        # figures are those of a model that is not here
        assert not printed or FIGURE.sub("", outcome.out).splitlines() == [FIGURE.sub("", line) for line in printed]
        count += 1
    return count


@pytest.fixture
def stand_ins(world: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A microphone that is interrupted, and servers that end at once; the rates and ports that were opened."""
    from asr.audio import arriving

    monkeypatch.setattr(arriving, "wait", lambda seconds: None)
    shutil.copytree(world / "runs/mine/seed=2", world / "runs/mine/seed=1")
    microphone = FakeSounddevice(soundfile.read(world / "speech.wav", dtype="float32")[0])
    monkeypatch.setitem(sys.modules, "sounddevice", microphone)
    if all(importlib.util.find_spec(name) for name in SERVER):
        from asr.serve import server

        class Ended:
            def __init__(self, *given: Any) -> None: ...

            def run(self, sockets: list[Any]) -> None:
                microphone.opened.append(sockets[0].getsockname()[1])

        listen_on = server.listen_on
        monkeypatch.setattr(server, "listen_on", lambda host, port: listen_on(host, 0))  # 8000 may be taken
        monkeypatch.setattr(server, "make_server", Ended)
    return microphone.opened


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("README.md", 1),
        ("docs/quickstart.md", 5),
        ("docs/transcription.md", 5),
        ("docs/alignment.md", 4),
        ("docs/onnx.md", 2),
        ("docs/live.md", 5),
        ("docs/server.md", 3),
    ],
)
def test_commands_run(page: str, count: int, world: Path, asr: Callable[..., Any], stand_ins: list[int]) -> None:
    for name in ("recordings", "runs/demo") if page == "docs/alignment.md" else ():  # a model that knows all letters
        shutil.rmtree(world / name)
        shutil.copytree({"recordings": CLIP.parent, "runs/demo": ENGLISH}[name], world / name, copy_function=os.symlink)
    for extra in {"docs/onnx.md": ("onnx", "onnxscript", "onnxruntime"), "docs/server.md": SERVER}.get(page, ()):
        pytest.importorskip(extra)
    if page == "docs/live.md":
        (world / "talk.txt").unlink()  # it would not be overwritten
    assert run_page(page, world, asr) == count
    assert (world / "talk.flac").exists() == (page == "docs/live.md")
    assert len(stand_ins) == {"docs/live.md": 3, "docs/server.md": 3}.get(page, 0)
    if page == "docs/transcription.md":
        assert {path.name for path in (world / "out").rglob("*.*")} >= {"talk.srt", "one.srt", "one.json", "two.srt"}


def test_own_data_train(world: Path, asr: Callable[..., Any]) -> None:
    """The five lines, from recordings to a transcript; then training, tuning and what else has these data."""
    assert run_page("docs/data.md", world, asr) == 9
    assert (world / "runs/mine/seed=1/model/weights.safetensors").exists()
    assert run_page("docs/search.md", world, asr) == 4
    assert (world / "weights.png").exists()


def test_training_runs(world: Path, asr: Callable[..., Any]) -> None:
    asr("prepare", "folder", "recordings", "--output", "data/mine", "--dev", "10%", "--test", "10%")
    assert run_page("docs/training.md", world, asr) == 5


@pytest.fixture
def run_notebook(asr: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``run_notebook(name, settings)`` runs a notebook of docs/, its commands in this process."""
    pytest.importorskip("matplotlib").use("agg")
    module = import_script(ROOT / "docs/run_notebook.py")

    def command(words: list[str]) -> str:
        outcome = asr(*words[1:])
        assert words[0] == "asr" and outcome.status == 0, outcome.err
        return str(outcome.out)

    return lambda name, settings: module.run(ROOT / "docs/notebooks" / name, settings, command)


def printed(notebook: dict[str, Any]) -> list[str]:
    """Return the lines that the cells of a notebook print."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return "".join("".join(output.get("text", "")) for output in outputs).splitlines()


def test_the_notebook_that_transcribes_prints_what_is_stored_in_it(run_notebook: Callable[..., Any]) -> None:
    notebook, names = run_notebook("transcribe.ipynb", {})
    stored = json.loads((ROOT / "docs/notebooks/transcribe.ipynb").read_text(encoding="utf-8"))
    texts = [text for text in printed(stored) if not re.match(r" *\d", text)]  # not times and confidences
    assert texts and [text for text in printed(notebook) if not re.match(r" *\d", text)] == texts
    assert "image/png" in notebook["cells"][-1]["outputs"][-1]["data"]
    assert names["transcript"].words[1].text == "commission"


def test_the_notebook_that_trains_runs(
    run_notebook: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With 16 voices, for an epoch."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    notebook, names = run_notebook("train.ipynb", {"voices": 16, "epochs": 1})
    lines = printed(notebook)
    assert any(line.startswith("16 voices") for line in lines)
    assert any(line.startswith("said: open the door") for line in lines)
    assert (names["folder"] / "run/model/weights.safetensors").exists() and names["folder"].parent == tmp_path


@pytest.mark.parametrize("page", ["quickstart.md", "live.md"])
def test_python_of_the_pages_runs(page: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples, _ = soundfile.read("speech.wav", dtype="float32")
    names: dict[str, Any] = {"microphone": np.array_split(samples, 5)}
    for language, block in FENCE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(block, page, "exec"), names)
    said = " ".join(event.text for event in names.get("events", ()))
    assert "commission" in capsys.readouterr().out + said


def test_requests_of_the_page_on_the_server_are_answered(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its curl and Python, at a server in another process with a small model."""
    for needed in (*SERVER, "openai", "websockets"):
        pytest.importorskip(needed)
    page = (ROOT / "docs/server.md").read_text(encoding="utf-8")
    page = page.replace("what is said in it", "a bad cab")  # the model knows the letters from a to h
    command = [sys.executable, "-m", "asr", "serve", "--model", "runs/demo", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            (port,) = next(filter(None, (re.findall(r"http://\S+:(\d+)/", line) for line in server.stderr)))
            for language, block in FENCE.findall(page.replace(":8000", f":{port}")):
                if language == "python":
                    exec(compile(block, "docs/server.md", "exec"), {})
                for line in block.splitlines() if shutil.which("curl") else ():
                    if line.startswith("curl "):
                        answer = subprocess.run([*shlex.split(line), "-sf"], capture_output=True, text=True, check=True)
                        assert answer.stdout
        finally:
            server.terminate()
    assert capsys.readouterr().out
