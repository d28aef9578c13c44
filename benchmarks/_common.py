"""Shared parts of the benchmarks: options, medians of alternating runs, a table, rows for ``--json``."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from asr.utils.threads import available_cores


def arguments(description: str | None, *positional: str, **options: Any) -> argparse.Namespace:
    """Parse ``positional``, ``--quick``, ``--json FILE`` and ``options`` (name=default, typed by the default)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in positional:
        parser.add_argument(name)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    for name, default in options.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(default), default=default, help=f"default: {default}")
    return parser.parse_args()


def machine_line() -> str:
    """Describe the machine that the figures belong to, in one line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), name)
    line = f"{name}, {available_cores()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return f"{line}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else line


def medians(*functions: Callable[[], object], repeats: int = 5) -> list[float]:
    """Return the median seconds of each function after a warm-up; they take turns, under the same conditions."""
    for function in functions:
        function()
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for taken, function in zip(seconds, functions, strict=True):
            begin = time.perf_counter()
            function()
            taken.append(time.perf_counter() - begin)
    return [statistics.median(taken) for taken in seconds]


class Report:
    """Rows {"case", "ours", "peer", "peer_name", "unit", "ratio"}, printed as they come.

    A ratio above 1 means that ours is better. The first line printed is :func:`machine_line`.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        print(machine_line())
        print(f"{'case':<46} {'ours':>10} {'peer':>10} {'ratio':>7}  unit, peer")

    def add(
        self, case: str, ours: float, peer: float, peer_name: str, unit: str, higher_is_better: bool = False
    ) -> None:
        """Add and print a row; ``unit`` is that of ``ours`` and ``peer``, such as "s"."""
        ratio = ours / peer if higher_is_better else peer / ours
        row = {"case": case, "ours": ours, "peer": peer, "peer_name": peer_name, "unit": unit, "ratio": ratio}
        self.rows.append(row)
        print(f"{case:<46} {ours:>10.4g} {peer:>10.4g} {ratio:>7.2f}  {unit}, {peer_name}", flush=True)

    def write(self, path: Path | None) -> None:
        """Write the rows as JSON, if there is a path."""
        if path:
            path.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
