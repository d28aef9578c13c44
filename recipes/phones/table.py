"""Train the rows of the table of Graves, Mohamed & Hinton (2013) on open speech; print the table, and what it says.

python recipes/phones/table.py train       # finished rows are skipped, one that was stopped goes on
python recipes/phones/table.py             # as far as it is trained
python recipes/phones/table.py --cells     # the same for the cells of recipes/cells, each beside lstm

A row is a recipe of recipes/timit with corpus=phones_small, or recipes/cells/phones.yaml. Its test set is scored once,
when it is trained. A claim of the paper holds where the 95 % interval of the difference in test PER is below 0, and
fails where it is above 0: by the paired bootstrap over the speakers, the errors of all seeds of both rows added up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.metrics.error_rate import ErrorCounts
from asr.metrics.significance import bootstrap_difference
from asr.models.info import weights

RECIPES = Path(__file__).parents[1]
CORPUS = "phones_small"
TEST = "data/phones/dev-clean.jsonl.gz"
DETAILS = "test.jsonl"  # of a run: the errors in each test utterance, the last file that a row writes
COUNTS = ("hits", "substitutions", "deletions", "insertions")
SIGNALS = 128  # a greater exit status is that of a command that a signal stopped
Counts = Mapping[tuple[str, str], ErrorCounts]  # by speaker and utterance


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: of its runs, without the corpus; that of its recipe in recipes/timit too, unless ``recipe`` is given.
        epochs: the paper's, on TIMIT; None: not in the paper.
        per: the paper's test PER in percent, on TIMIT; None: not in the paper.
        recipe: path of the recipe in recipes, without its ending.
        settings: of the training, besides those of the recipe.
        corpus: file name in recipes/timit/corpus, without its ending; "": the recipe has one only.
        is_recognizer: whether it has a PER.
    """

    name: str
    epochs: int | None = None
    per: float | None = None
    recipe: str = ""
    settings: Sequence[str] = ()
    corpus: str = CORPUS
    is_recognizer: bool = True

    def run_dir(self, seed: int) -> Path:
        """Return the folder of a run."""
        return Path("runs", f"{CORPUS}-{self.name}" if self.corpus else self.name, f"seed={seed}")

    def command(self, seed: int) -> list[str]:
        """Return the arguments of ``asr`` that train a run."""
        recipe = RECIPES / f"{self.recipe or f'timit/{self.name}'}.yaml"
        corpus = [f"corpus={self.corpus}"] if self.corpus else []
        return ["train", str(recipe), *corpus, f"seed={seed}", "resume=auto", *self.settings]


# weight noise as in the paper, from a network that was trained without it; beside it the same without noise
CONTINUED = ("init=runs/${corpus}-ctc-3l-250h/seed=${seed}", "trainer.epochs=2", "optimizer.lr=1e-3")
NOISE = ("name=${corpus}-ctc-3l-250h-noise", "trainer.weight_noise=0.075")
# in the order of the training, which begins with what decides the claims
ROWS = (
    Row("ctc-3l-250h", 124, 18.6),
    Row("ctc-3l-500h-tanh", 107, 37.6),
    Row("ctc-1l-250h", 82, 23.9),
    Row("ctc-3l-421h-uni", 115, 19.6),
    Row("ctc-1l-622h", 87, 23.0),
    Row("next-phone", corpus="phones", settings=("name=${corpus}_small-next-phone",), is_recognizer=False),
    Row("trans-3l-250h", 112, 18.3),
    Row("pretrans-3l-250h", 144, 17.7),
    Row("ctc-3l-250h-longer", recipe="timit/ctc-3l-250h", settings=(*CONTINUED, "name=${corpus}-ctc-3l-250h-longer")),
    Row("ctc-3l-250h-noise", recipe="timit/ctc-3l-250h", settings=(*CONTINUED, *NOISE)),
    Row("ctc-2l-250h", 55, 21.0),
    Row("ctc-5l-250h", 150, 18.4),
    Row("modern"),
)
# what a cell needs besides its name: the states of rectifiers that begin with the identity overflow in three layers
OF_CELLS = {"relu": ("encoder.init=uniform",)}
CELLS = tuple(
    Row(f"cells-{cell}", recipe="cells/phones", settings=(f"encoder.cell={cell}", *OF_CELLS.get(cell, ())), corpus="")
    for cell in ("tanh", "relu", "lstm", "peephole_lstm", "coupled_lstm", "gru", "clockwork", "depth_gated_lstm")
)
# claim, the row that is better by it, the row that is worse
CLAIMS = (
    ("LSTM cells are better than tanh units", "ctc-3l-250h", "ctc-3l-500h-tanh"),
    ("more layers help", "ctc-3l-250h", "ctc-1l-250h"),
    ("depth helps more than width", "ctc-3l-250h", "ctc-1l-622h"),
    ("two directions are better than one", "ctc-3l-250h", "ctc-3l-421h-uni"),
    ("a transducer is better than CTC", "trans-3l-250h", "ctc-3l-250h"),
    ("pre-training helps a transducer", "pretrans-3l-250h", "trans-3l-250h"),
    ("weight noise helps", "ctc-3l-250h-noise", "ctc-3l-250h-longer"),
    ("newer methods are better", "modern", "ctc-3l-250h"),
)
NOT_RUN = "not run"


def train(rows: Sequence[Row], seeds: Sequence[int], settings: Sequence[str]) -> int:
    """Train and score what is not finished; return the exit status of the last command that failed, or 0.

    Args:
        rows: of the table.
        seeds: of the trainings.
        settings: of all trainings, besides the rows' own.
    """
    status = 0
    for row, seed in ((row, seed) for seed in seeds for row in rows):
        run = row.run_dir(seed)
        steps = {run / "model" / "metrics.json": [*row.command(seed), *settings]}
        if row.is_recognizer:
            steps[run / DETAILS] = ["evaluate", str(run), TEST, "--worst=0", f"--details={run / DETAILS}"]
        for result, command in steps.items():
            if result.exists():
                continue
            print("asr", *command, flush=True)
            failed = subprocess.run([sys.executable, "-m", "asr", *command], check=False).returncode
            if failed < 0 or failed > SIGNALS:
                return failed if failed > 0 else SIGNALS - failed
            if failed:  # the other rows can be trained
                status = failed
                break
    return status


def test_counts(row: Row, seed: int) -> dict[tuple[str, str], ErrorCounts] | None:
    """Read the errors of a run by speaker and test utterance; None if it is not finished."""
    path = row.run_dir(seed) / DETAILS
    if not path.exists():
        return None
    utterances = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(u["speaker"], u["id"]): ErrorCounts(**{kind: u["phones"][kind] for kind in COUNTS}) for u in utterances}


def table(rows: Sequence[Row], seeds: Sequence[int]) -> Iterator[str]:
    """Yield the lines of the table in Markdown: what is trained of each row, and the paper's figures if it has any."""
    in_paper = any(row.per is not None for row in rows)
    header = ["network", "weights", "epochs", "minutes", "dev PER %", "test PER %"]
    header += ["paper, TIMIT: epochs", "PER %"] if in_paper else []
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in (row for row in rows if row.is_recognizer):
        finished = {seed: counts for seed in seeds if (counts := test_counts(row, seed))}
        figures = [NOT_RUN, "", "", "", ""]
        if finished:
            models = [row.run_dir(seed) / "model" for seed in finished]
            metrics = [json.loads((model / "metrics.json").read_text(encoding="utf-8")) for model in models]
            figures = [
                f"{weights(models[0]) / 1e6:.2f} M",
                " ".join(str(m["training"]["epochs"]) for m in metrics),
                " ".join(f"{m['training']['minutes']:.0f}" for m in metrics),
                spread([dev_rate(m) for m in metrics]),
                spread([sum(counts.values(), ErrorCounts()).rate for counts in finished.values()]),
            ]
        paper = ["" if row.epochs is None else str(row.epochs), "" if row.per is None else f"{row.per:.1f}"]
        yield f"| {' | '.join([row.name, *figures, *(paper if in_paper else [])])} |"


def dev_rate(figures: Mapping[str, Any]) -> float:
    """Return the dev PER of a model's figures by its last decoder, which is the beam search."""
    (heads,) = figures["dev"].values()
    return float(list(heads.values())[-1]["per"])


def spread(rates: Sequence[float]) -> str:
    """Format rates of several seeds in percent: their mean and standard deviation."""
    mean = f"{100 * statistics.mean(rates):.1f}"
    return mean if len(rates) == 1 else f"{mean} ± {100 * statistics.stdev(rates):.1f}"


def verdicts(seeds: Sequence[int]) -> Iterator[str]:
    """Yield a line in Markdown for each claim: rows, difference, its interval, whether it holds."""
    yield "| claim | compared | difference of test PER | 95 % interval | verdict | paper, TIMIT |"
    yield "| --- | --- | --- | --- | --- | --- |"
    by_name = {row.name: row for row in ROWS}
    for claim, better, worse in CLAIMS:
        rows = by_name[better], by_name[worse]
        pairs = [(a, b) for seed in seeds if (a := test_counts(rows[0], seed)) and (b := test_counts(rows[1], seed))]
        cells = ["", "", NOT_RUN]
        if pairs:
            cells = judge([a for a, _ in pairs], [b for _, b in pairs])
        paper = "" if None in (rows[0].per, rows[1].per) else f"{rows[0].per - rows[1].per:+.1f}"
        yield f"| {' | '.join([claim, f'{better}, {worse}', *cells, paper])} |"


def beside_lstm(seeds: Sequence[int]) -> Iterator[str]:
    """Yield a line in Markdown for each trained cell: how far its test PER is from that of lstm, and the interval."""
    yield "| network | difference of test PER from cells-lstm | 95 % interval |"
    yield "| --- | --- | --- |"
    (lstm,) = (row for row in CELLS if row.name == "cells-lstm")
    for row in CELLS:
        pairs = [(a, b) for seed in seeds if (a := test_counts(row, seed)) and (b := test_counts(lstm, seed))]
        if row is not lstm and pairs:
            yield f"| {' | '.join([row.name, *judge([a for a, _ in pairs], [b for _, b in pairs])[:2]])} |"


def judge(better: Sequence[Counts], worse: Sequence[Counts]) -> list[str]:
    """Return difference, interval and verdict for the errors of two rows, whose seeds are added up."""
    utterances = list(worse[0])
    a, b = ([sum((c[u] for c in seeds), ErrorCounts()) for u in utterances] for seeds in (worse, better))
    difference = bootstrap_difference(a, b, [speaker for speaker, _ in utterances])
    low, high = difference.interval
    verdict = "holds" if high < 0 else "fails" if low > 0 else "undecided"
    return [f"{100 * difference.value:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}", verdict]


def main() -> None:
    """Train, or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=("print", "train"), default="print")
    parser.add_argument("settings", nargs="*", help="of all trainings, such as trainer.threads=2")
    parser.add_argument("--cells", action="store_true", help="the cells of recipes/cells, instead of the paper's rows")
    parser.add_argument("--rows", help="names, with commas between (default: all)")
    parser.add_argument("--seeds", default="1", help="numbers, with commas between (default: 1)")
    arguments = parser.parse_args()
    rows = CELLS if arguments.cells else ROWS
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    names = arguments.rows.split(",") if arguments.rows else [row.name for row in rows]
    if unknown := set(names) - {row.name for row in rows}:
        parser.error(f"--rows: no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in rows)}")
    rows = [row for row in rows if row.name in names]
    if arguments.action == "train":
        sys.exit(train(rows, seeds, arguments.settings))
    print("\n".join([*table(rows, seeds), "", *(beside_lstm(seeds) if arguments.cells else verdicts(seeds))]))


if __name__ == "__main__":
    main()
