"""Build a wheel from the checkout and use it outside of it, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]


def run(*command: object, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    (path,) = folder.glob("asr_recurrent-*.whl")
    return path


@pytest.fixture(scope="module")
def asr(wheel: Path) -> Path:
    """Return the command in an environment that holds the wheel and borrows its dependencies from this one."""
    environment = wheel.parent / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=wheel.parent)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=wheel.parent)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = run(python, "-c", "import asr; print(asr.__file__)", cwd=wheel.parent).strip()
    assert where == str(packages / "asr" / "__init__.py")
    return environment / "bin" / "asr"


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "asr/py.typed" in names
    for folder in ("configs", "recipes"):
        shipped = {name.removeprefix("asr/share/") for name in names if name.startswith(f"asr/share/{folder}/")}
        files = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / folder).rglob("*.yaml")}
        assert files and files <= shipped
    assert not [name for name in names if not name.startswith(("asr/", "asr_recurrent-")) or "__pycache__" in name]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_recipes_find_their_data(asr: Path, wheel: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("train.jsonl.gz", "dev.jsonl.gz", "example-1.opus", "audio/en-us_alex.opus"):
        assert f"asr/share/recipes/digits/data/{name}" in names
    settings = ["trainer.epochs=1", "data.train=recipes/digits/data/dev.jsonl.gz", "task.heads.text.size=60"]
    run(asr, "train", "recipes/digits/ctc.yaml", *settings, "data.test=null", "run_dir=digits", cwd=tmp_path)
    assert (tmp_path / "digits" / "model" / "config.yaml").is_file()


def test_help(asr: Path, tmp_path: Path) -> None:
    assert "transcribe" in run(asr, "--help", cwd=tmp_path)


def test_train_evaluate_transcribe(asr: Path, tmp_path: Path, tone_corpus: Any, tone_texts: Any) -> None:
    texts = tone_texts(8)
    tone_corpus(tmp_path / "corpus", texts)
    settings = [
        "data.train=corpus/train.jsonl",
        "data.dev=corpus/train.jsonl",
        "data.test=corpus/train.jsonl",
        "data.seconds=3",
        "features=filterbank123",
        "features.sample_rate=8000",
        "features.num_mels=20",
        "encoder.hidden_size=32",
        "encoder.num_layers=1",
        "encoder.dropout=0",
        "encoder.stack=2",
        "encoder.stride=2",
        "augmentation.warp=null",
        "augmentation.specaugment=null",
        "optimizer.lr=0.02",
        "trainer.epochs=40",
        "trainer.precision=32-true",
        "trainer.accelerator=cpu",
        "run_dir=run",
    ]
    recipe = "recipes/fsdd/ctc.yaml"  # in the wheel, as are the configuration groups that it names
    assert "epoch 40/40" in run(asr, "train", recipe, *settings, cwd=tmp_path)
    assert " 0.00 " in run(asr, "evaluate", "run/model", "corpus/train.jsonl", cwd=tmp_path)
    transcript = run(asr, "transcribe", "corpus/train0.wav", "--model", "run", cwd=tmp_path)
    assert transcript == texts[0] + "\n"
