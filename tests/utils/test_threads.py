"""Number of cores that a process may use, and threads that are bound to one of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from asr.errors import InputError
from asr.utils import threads
from asr.utils.threads import available_cores, pin_in_turn


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty control group in place of this process's own, and an affinity of 8 cores."""
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    return tmp_path


def test_affinity_counts_and_not_the_machine(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert available_cores() == 8
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows
    assert available_cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("5000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("max 100000\n", 8),
        ("", 8),
        ("nonsense", 8),
        ("1 0\n", 8),
    ],
)
def test_the_quota_of_a_container(cgroup: Path, content: str, cores: int) -> None:
    (cgroup / "cpu.max").write_text(content)
    assert available_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000\n", 3), ("-1\n", 8)])
def test_the_quota_of_a_container_of_version_1(cgroup: Path, quota: str, cores: int) -> None:
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores() == cores


def test_threads_of_a_pool_take_the_cores_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.sched_getaffinity(0)
    together = Barrier(len(own) + 1)  # each call has a thread of its own

    def bound(_: int) -> set[int]:
        together.wait(60)
        return os.sched_getaffinity(0)

    with ThreadPoolExecutor(len(own) + 1, initializer=pin_in_turn()) as pool:
        found = list(pool.map(bound, range(len(own) + 1)))
    assert {*map(len, found)} == {1} and set().union(*found) == own
    assert os.sched_getaffinity(0) == own
    monkeypatch.delattr(os, "sched_setaffinity")
    with pytest.raises(InputError, match="cannot be pinned"):
        pin_in_turn()
