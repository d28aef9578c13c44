"""Cost of our CTC beam search by frames, beam and labels, and of its first call.

    python benchmarks/decoding_cost.py [--quick] [--json FILE] [--picture FILE.png]

Peaky and diffuse scores as in decoding.py, no language model. One of frames, beam and labels varies, the others stay
at 500, 100 and 29: median milliseconds an utterance on one thread; the peer of a row is our search at these values. The
first call is timed in a process with an empty cache of compiled code, and in another one with the cache that it filled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import Report, arguments, medians
from decoding import ours, utterances

from asr.decoding.ctc.options import CTCBeamOptions

DEFAULT = {"frames": 500, "beam": 100, "labels": 29}
VARIED = {"frames": (125, 250, 500, 1000, 2000, 4000), "beam": (10, 30, 100, 300, 1000), "labels": (29, 500, 5000)}
BOOSTS = {"peaky": 9.0, "diffuse": 4.0}
FIRST = """
import time
import numpy as np
from asr.decoding.ctc.beam import CTCBeamSearch
began = time.perf_counter()
search = CTCBeamSearch(29)
search.feed(np.full((500, 29), -np.log(29), dtype=np.float32))
search.finish()
print(time.perf_counter() - began)
"""


def milliseconds(boost: float, frames: int, beam: int, labels: int) -> float:
    """Return the median milliseconds of one utterance."""
    ((log_probs, _),) = utterances(1, labels, boost, frames)
    decode = ours(labels, CTCBeamOptions(beam))
    (seconds,) = medians(lambda: decode(log_probs), repeats=5)
    return 1000 * seconds


def first_calls(report: Report) -> None:
    """Time the first search of a process that compiles, and of one that loads compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST]
        compiled, loaded = (
            float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout) for _ in range(2)
        )
    report.add("first call, compiled code from the cache", loaded, compiled, "compiling", "s")


def draw(rows: dict[tuple[str, str], list[float]], picture: Path) -> None:
    """Plot a panel for each of frames, beam and labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.5), layout="constrained")
    for axes, (what, values) in zip(figure.subplots(1, len(VARIED)), VARIED.items(), strict=True):
        for scores in BOOSTS:
            line = rows[what, scores]
            axes.loglog(values[: len(line)], line, "o-", label=scores)
        axes.set(xlabel=what, ylabel="ms an utterance")
        axes.minorticks_off()
        axes.set_xticks(values, labels=map(str, values))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=80)


def main() -> None:
    options = arguments(__doc__, picture="")
    report = Report()
    first_calls(report)
    default = {scores: milliseconds(boost, **DEFAULT) for scores, boost in BOOSTS.items()}
    rows: dict[tuple[str, str], list[float]] = {}
    for what, values in VARIED.items():
        for scores, boost in BOOSTS.items():
            for value in values[: 3 if options.quick else None]:
                setting: dict[str, Any] = DEFAULT | {what: value}
                taken = milliseconds(boost, **setting)
                rows.setdefault((what, scores), []).append(taken)
                report.add(f"{value} {what}, {scores}", taken, default[scores], "default", "ms")
    report.write(options.json)
    if options.picture:
        draw(rows, Path(options.picture))


if __name__ == "__main__":
    main()
