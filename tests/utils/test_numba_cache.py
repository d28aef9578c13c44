"""Numba's cache on disk, and what happens where there is no room for one."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import caching

from asr.utils import numba_cache
from asr.utils.numba_cache import njit

PACKAGE = Path(__file__).parents[2] / "asr"


def _double(x: Any) -> Any:
    return x + x


def test_the_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    first = njit(cache=True, nogil=True)(_double)
    assert first(np.ones(2)).sum() == 4
    assert list(tmp_path.rglob("*.nbc"))
    second: Any = njit(cache=True, nogil=True)(_double)
    assert second(np.ones(2)).sum() == 4 and sum(second.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("left", [b"damaged", b"casr.decoding\nNoLongerThere\n.", b""])
def test_a_cache_that_cannot_be_read_is_begun_anew(
    left: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of an earlier version of the package, whose classes had other names."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    njit(cache=True, nogil=True)(_double)(np.ones(2))
    (index,) = tmp_path.rglob("*.nbi")
    with index.open("rb") as file:
        version = pickle.load(file)
    index.write_bytes(pickle.dumps(version) + left)
    for hits in (0, 1):
        again: Any = njit(cache=True, nogil=True)(_double)
        assert again(np.ones(2)).sum() == 4 and sum(again.stats.cache_hits.values()) == hits


def test_a_change_in_another_file_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    njit(cache=True)(_double)(3)
    monkeypatch.setattr(numba_cache, "_sources", lambda: "changed")
    again: Any = njit(cache=True)(_double)
    assert again(3) == 6 and not sum(again.stats.cache_hits.values())


def test_what_is_loaded_goes_together_with_what_is_compiled(tmp_path: Path) -> None:
    """Machine code is loaded without Numba's compiler, which another function needs later in the same process."""
    (tmp_path / "functions.py").write_text(
        "import numpy as np\nfrom asr.utils.numba_cache import njit\n"
        "@njit(cache=True)\ndef ones(n):\n    return np.full(n, 1.0)\n"
        "@njit()\ndef more(n):\n    return np.full(n, 2.0)[:2] + ones(2)\n"
    )
    code = (
        "import numba, functions\nassert functions.ones(3).tolist() == [1, 1, 1]\n"
        "hits = sum(functions.ones.stats.cache_hits.values())\n"
        "assert functions.more(3).tolist() == [3, 3]\nprint(hits)"
    )
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{PACKAGE.parent}",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }
    for hits in "01":
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == (0, hits), done.stderr


def test_a_function_without_a_wrapper_refuses_python() -> None:
    inner: Any = njit(no_cpython_wrapper=True)(lambda x: x + 1)
    outer: Any = njit()(lambda x: inner(x) + 1)
    assert outer(1) == 3
    with pytest.raises(TypeError, match="for compiled functions alone"):
        inner(1)


def test_without_a_place_for_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert njit(cache=True)(_double)(3) == 6


def test_a_cache_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(caching.Cache, "save_overload", full)
    assert njit(cache=True)(_double)(3) == 6


def test_all_compiled_functions_use_it() -> None:
    own = Path(numba_cache.__file__)
    for path in PACKAGE.rglob("*.py"):
        assert path == own or not re.search(r"numba import .*jit|numba\.n?jit", path.read_text()), path


@pytest.mark.slow
def test_installed_read_only_without_a_home(tone_run: Path, tmp_path: Path) -> None:
    """In a copy of the package whose __pycache__ are files, so that no folder can be made for a cache, even by root."""
    shutil.copytree(PACKAGE, tmp_path / "asr", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "configs", tmp_path / "configs")
    for folder in [tmp_path / "asr", *(path for path in (tmp_path / "asr").rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    environment = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "TMPDIR")}
    environment |= {"HOME": "/dev/null/home", "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1",
                    "XDG_CACHE_HOME": "/dev/null/home", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    command = [sys.executable, "-m", "asr", "transcribe", f"{tone_run}/corpus/train0.wav", "--model", str(tone_run)]
    done = subprocess.run([*command, "--beam", "5"], cwd="/", env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and done.stdout.strip()
