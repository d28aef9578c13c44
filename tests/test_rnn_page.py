"""docs/rnn.md: every command there runs, and every piece of code that it names exists."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import save_file

from asr.data import caption_manifest, image_files
from asr.data.caption_manifest import CaptionedImage
from asr.modules.cells import CELLS
from asr.modules.mobilenet import MobileNetV2

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "rnn.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)#:\s]+)\)")
NAMED = re.compile(r"`([\w.]+)`[^`\[\]()]*\[[\w.]+\]\((\.\./[^)]+\.py)\)")


def sections() -> Iterator[tuple[str, list[str]]]:
    """Yield the headings of the page, and the commands below them."""
    for part in re.split(r"^##+ ", PAGE, flags=re.M)[1:]:
        commands = [line for block in re.findall(r"^```\n(.*?)^```", part, re.S | re.M) for line in block.splitlines()]
        if commands:
            yield part.partition("\n")[0], commands


SLOW = ("Gated recurrent unit", "Clockwork", "First weights, and noise on them")  # as others, with kernels to compile
SECTIONS = [
    pytest.param(commands, id=re.sub(r"\W+", "-", name), marks=[pytest.mark.slow] * (name in SLOW))
    for name, commands in sections()
]
SMALL = {
    "ctc": ["task.heads.text.kind=characters", "task.heads.text.size=500", "encoder.hidden_size=8"],
    "transducer": [
        "task.heads.text.kind=characters",
        "task.heads.text.size=500",
        "encoder.hidden_size=8",
        "label_rnn.hidden_size=8",
    ],
    "characters": ["label_rnn.hidden_size=8", "trainer.precision=32-true"],
    "attention": ["encoder.hidden_size=8", "label_rnn.hidden_size=8", "data.labels=100"],
    "tell": ["label_rnn.hidden_size=8", "task.image_size=64", "image_encoder.num_classes=10"],
}


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tones: Callable[..., np.ndarray], tone_corpus: Any, tone_texts: Any
) -> Path:
    """A folder in which the commands find small inputs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    tone_corpus(tmp_path / "corpus", tone_texts(4))
    soundfile.write(tmp_path / "one.wav", tones("ab cd"), 8000)
    (tmp_path / "one.txt").write_text("ab cd")
    (tmp_path / "text.txt").write_text("to be or not to be " * 40)
    return tmp_path


def captions(folder: Path) -> Path:
    """Write images of two colors, their captions and an encoder of them."""
    items = []
    for color in ("red", "blue"):
        Image.new("RGB", (40, 30), color).save(folder / f"{color}.png")
        items.append(CaptionedImage(color, str(folder / f"{color}.png"), (f"a {color} picture",) * 5))
    caption_manifest.write(items, folder / "captions.jsonl")
    encoder = MobileNetV2(10)
    with torch.no_grad():
        encoder.train()(torch.stack([image_files.read(item.image, 64) for item in items]))
    save_file(encoder.state_dict(), folder / "mobilenet_v2.safetensors")
    return folder / "captions.jsonl"


def smaller(words: list[str], place: Path) -> list[str]:
    """Return a training command for the small inputs of `place`, one epoch of a small network."""
    recipe = Path(words[2]).stem
    kept = [word for word in words if not word.startswith(("trainer.epochs", "data.train", "data.dev"))]
    data = {"ctc": "corpus/train.jsonl", "transducer": "corpus/train.jsonl", "characters": "text.txt"}.get(recipe)
    if recipe == "tell":
        data = str(captions(place))
    if recipe == "attention":
        data = "dates.tsv"
        lines = Path("data/dates/train.tsv").read_text(encoding="utf-8").splitlines()[:20]
        Path(data).write_text("\n".join(lines), encoding="utf-8")
    added = [f"data.train={data}", f"data.dev={data}", "data.test=null", "trainer.epochs=1", *SMALL[recipe]]
    if recipe in ("ctc", "transducer"):
        added += ["data.perturbation=null", "features.sample_rate=8000"]
    if recipe == "ctc":
        added.append("~task.heads.times")
    if recipe == "characters":
        added.append("data.batch_size=2")
    if recipe == "tell":
        added.append("data.cache=null")
    return [*kept, *added]


@pytest.mark.parametrize("commands", SECTIONS)
def test_commands_run(commands: list[str], place: Path, tone_run: Path, asr: Callable[..., Any]) -> None:
    (place / "runs").mkdir()
    for command in commands:
        words = shlex.split(command)
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True, cwd=place)
            continue
        if words[1] == "train":
            words = smaller(words, place)
        elif words[1] == "plot":
            words = [
                re.sub(r"recipes/\S+/(example-1|commission)\.(opus|txt)", lambda m: _input(m[2]), word)
                for word in words
            ]
            if any(word == "one.wav" for word in words) and "--model" not in words:
                words += ["--model", str(tone_run)]
            words = [str(tone_run) if word.startswith("runs/") and not Path(word).exists() else word for word in words]
        outcome = asr(*words[1:])
        assert outcome.status == 0, (command, outcome.err)
        if "--output" in words:
            assert Path(words[words.index("--output") + 1]).read_bytes().startswith(b"\x89PNG")


def _input(extension: str) -> str:
    return "one.wav" if extension == "opus" else "one.txt"


def test_code_that_is_named_exists() -> None:
    found = NAMED.findall(PAGE)
    assert len(found) > 20
    for name, file in found:
        tree: Any = ast.parse((ROOT / "docs" / file).read_text(encoding="utf-8"))
        for part in name.split("."):
            defined = {
                target.id if isinstance(target, ast.Name) else getattr(target, "name", None): node
                for node in tree.body
                for target in [node, *getattr(node, "targets", []), *filter(None, [getattr(node, "target", None)])]
            }
            assert part in defined, f"{name} in {file}"
            tree = defined[part]


def test_the_page_names_every_cell_and_its_links_exist() -> None:
    assert all(re.search(rf"(`|cell=|--cells \S*){cell}\b", PAGE) for cell in CELLS)
    links = [ROOT / "docs" / link for link in LINK.findall(PAGE)]
    assert links and all(link.exists() for link in links)
