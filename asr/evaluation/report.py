"""What an evaluation shows: totals, groups, a line of JSON an utterance, and the worst utterances aligned."""

from __future__ import annotations

import json
import math
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.metrics.calibration import Calibration, concatenate, correct_tokens, measure_calibration
from asr.metrics.error_rate import UNITS, ErrorCounts, ErrorRates, Fold, Kind, align, tokens
from asr.metrics.significance import bootstrap_interval
from asr.utils.atomic import write_atomic


@dataclass(frozen=True)
class Row:
    """One utterance, with its counts for each kind of error rate, and its group if there are groups.

    ``confidence`` is that of each token (of the report's first kind) of the hypothesis, where it is known.
    """

    id: str
    reference: str
    hypothesis: str
    counts: Mapping[Kind, ErrorCounts]
    group: str | None = None
    confidence: Sequence[float] | None = None

    @property
    def errors(self) -> int:
        """Errors of the report's first kind."""
        return next(iter(self.counts.values())).errors

    def to_json(self) -> dict[str, Any]:
        """The row as JSON values; a rate over an empty reference is None."""
        group = {} if self.group is None else {"group": self.group}
        texts = {"id": self.id, **group, "reference": self.reference, "hypothesis": self.hypothesis}
        return texts | _rates_and_counts(self.counts)


@dataclass(frozen=True)
class Report:
    """Utterances with their error counts. The first of ``kinds`` is what the report sorts and aligns by."""

    rows: Sequence[Row]
    kinds: Sequence[Kind]
    fold: Fold | None = None

    @cached_property
    def totals(self) -> dict[Kind, ErrorCounts]:
        """Counts of the whole corpus."""
        return _sum(self.rows, self.kinds)

    @cached_property
    def groups(self) -> dict[str, list[Row]]:
        """Rows of each group, by its name; empty when nothing groups."""
        names = sorted({row.group for row in self.rows if row.group is not None})
        result: dict[str, list[Row]] = {name: [] for name in names}
        for row in self.rows:
            if row.group is not None:
                result[row.group].append(row)
        return result

    @cached_property
    def answers(self) -> list[tuple[Sequence[float], list[bool]]]:
        """Confidences of each hypothesis' tokens, and which are right; of the rows where they are known."""
        return [
            (
                row.confidence,
                correct_tokens(*(tokens(self.kinds[0], text, self.fold) for text in (row.reference, row.hypothesis))),
            )
            for row in self.rows
            if row.confidence is not None
        ]

    @cached_property
    def calibration(self) -> Calibration | None:
        """How far the confidences of hypotheses' tokens can be trusted; None where they are not known."""
        return measure_calibration(*concatenate(self.answers))

    def interval(self, kind: Kind | None = None, level: float = 0.95) -> tuple[float, float]:
        """Bootstrap confidence interval of a rate (default: the first kind) over utterances."""
        return bootstrap_interval([row.counts[kind or self.kinds[0]] for row in self.rows], level)

    def summary(self) -> dict[str, Any]:
        """The figures as JSON values.

        "wer", "cer", "per": fractions, None where not measured or without a reference token; "words",
        "characters", "phones": the counts of each that was measured; "utterances", "utterances_with_errors";
        "interval_95": bootstrap interval of the first kind; "calibration": of confidences, where they are known;
        "groups": the same, without intervals, by group.
        """
        first = self.kinds[0]
        result = _summary(self.rows, self.kinds)
        result["interval_95"] = {first: [_number(bound) for bound in self.interval()]}
        if self.calibration:
            result["calibration"] = asdict(self.calibration)
        if self.groups:
            result["groups"] = {name: _summary(rows, self.kinds) for name, rows in self.groups.items()}
        return result

    def write_json(self, path: str | Path) -> None:
        """Write `summary` to a JSON file, which appears only when it is complete."""
        _write(path, [json.dumps(self.summary(), ensure_ascii=False, indent=2, allow_nan=False)])

    def write_jsonl(self, path: str | Path) -> None:
        """Write one JSON object an utterance and line; the file appears only when it is complete."""
        _write(path, (json.dumps(row.to_json(), ensure_ascii=False, allow_nan=False) for row in self.rows))

    def table(self) -> str:
        """A line for each group and one for all: utterances, reference tokens, rates in %, error counts."""
        first = self.kinds[0]
        head = ["", "utterances", UNITS[first], f"{first.upper()} %", "sub", "del", "ins"]
        head += [f"{kind.upper()} %" for kind in self.kinds[1:]] + ["wrong %"]
        lines = [head]
        for name, rows in [*self.groups.items(), ("all", self.rows)]:
            counts = _sum(rows, self.kinds)
            main = counts[first]
            line = [name, str(len(rows)), str(main.reference), _percent(main.rate)]
            line += [str(n) for n in (main.substitutions, main.deletions, main.insertions)]
            line += [_percent(counts[kind].rate) for kind in self.kinds[1:]]
            lines.append([*line, _percent(_wrong(rows) / len(rows) if rows else math.nan)])
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            _pad(line[0], widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))
            for line in lines
        )

    def worst(self, n: int = 10, width: int | None = None) -> str:
        """The n utterances with most errors, reference over hypothesis, aligned token by token.

        Errors are marked below: S substitution, D deletion, I insertion. Lines are wrapped to ``width``
        columns (default: the terminal's). Utterances without errors are not listed; of two with as many
        errors the one with the higher rate comes first.
        """
        width = width or shutil.get_terminal_size((100, 24)).columns
        wrong = [row for row in self.rows if row.errors]
        wrong.sort(key=lambda row: (-row.errors, row.counts[self.kinds[0]].reference))
        return "\n\n".join("\n".join(self._aligned(row, width)) for row in wrong[:n])

    def _aligned(self, row: Row, width: int) -> Iterator[str]:
        kind = self.kinds[0]
        c = row.counts[kind]
        group = f" ({row.group})" if row.group is not None else ""
        yield (
            f"{row.id}{group}: {kind.upper()} {_percent(c.rate)} % of {c.reference} {UNITS[kind]}: "
            f"{c.substitutions} sub, {c.deletions} del, {c.insertions} ins"
        )
        left, right = (tokens(kind, text, self.fold) for text in (row.reference, row.hypothesis))
        columns = [_column(*step) for step in align(left, right)]
        gap = 0 if kind == "cer" else 1
        while columns:
            used = taken = 0
            while taken < len(columns) and (not taken or used + columns[taken][0] <= width - len("REF: ")):
                used += columns[taken][0] + gap
                taken += 1
            for label, part in (("REF: ", 1), ("HYP: ", 2), ("     ", 3)):
                cells = (_pad(str(column[part]), column[0]) for column in columns[:taken])
                if line := (" " * gap).join(cells).rstrip():
                    yield label + line
            del columns[:taken]


def evaluate_pairs(
    ids: Iterable[str],
    references: Iterable[str],
    hypotheses: Iterable[str],
    kinds: Sequence[Kind] = ("wer", "cer"),
    *,
    by: Mapping[str, str] | None = None,
    fold: Fold | None = None,
    confidences: Iterable[Sequence[float] | None] | None = None,
) -> Report:
    """Compare hypotheses with references, utterance by utterance.

    ``by`` gives the group (speaker, corpus) of each id; ``fold`` maps the phones of "per"; ``confidences`` holds one
    for each token of the first kind in a hypothesis, or None. Both sides are compared as they are (see error_rate).
    Raises InputError when the lengths differ, or an id comes twice or has no group.
    """
    ids, references, hypotheses = list(ids), list(references), list(hypotheses)
    trusted = [None] * len(ids) if confidences is None else list(confidences)
    if not len(ids) == len(references) == len(hypotheses) == len(trusted):
        raise InputError(f"{len(ids)} ids, {len(references)} references and {len(hypotheses)} hypotheses: not one each")
    if not kinds:
        raise InputError(f"no error rate is asked for; there are {', '.join(UNITS)}")
    rates = ErrorRates(kinds, fold)
    rows: dict[str, Row] = {}
    for id, reference, hypothesis, confidence in zip(ids, references, hypotheses, trusted, strict=True):
        if id in rows:
            raise InputError(f"utterance {id} is there twice")
        if by is not None and id not in by:
            raise InputError(f"utterance {id} has no group")
        group = by[id] if by is not None else None
        rows[id] = Row(id, reference, hypothesis, rates.add(reference, hypothesis), group, confidence)
    return Report(list(rows.values()), tuple(kinds), fold)


def merged_summaries(reports: Mapping[str, Report]) -> dict[str, Any]:
    """Merge the summaries of several heads into one JSON object.

    Its top level is the first head's `Report.summary`, completed by the rates that only the other heads have; "heads"
    holds each head's own summary.
    """
    summaries = {head: report.summary() for head, report in reports.items()}
    merged: dict[str, Any] = {}
    for summary in summaries.values():
        merged |= {key: value for key, value in summary.items() if merged.get(key) is None}
    return merged | {"heads": summaries}


def _sum(rows: Sequence[Row], kinds: Sequence[Kind]) -> dict[Kind, ErrorCounts]:
    return {kind: sum((row.counts[kind] for row in rows), ErrorCounts()) for kind in kinds}


def _wrong(rows: Sequence[Row]) -> int:
    return sum(row.errors > 0 for row in rows)


def _summary(rows: Sequence[Row], kinds: Sequence[Kind]) -> dict[str, Any]:
    result: dict[str, Any] = dict.fromkeys(UNITS)
    result |= {"utterances": len(rows), "utterances_with_errors": _wrong(rows)}
    return result | _rates_and_counts(_sum(rows, kinds))


def _rates_and_counts(counts: Mapping[Kind, ErrorCounts]) -> dict[str, Any]:
    result: dict[str, Any] = {kind: _number(c.rate) for kind, c in counts.items()}
    for kind, c in counts.items():
        result[UNITS[kind]] = {"reference": c.reference, "errors": c.errors, **asdict(c)}
    return result


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(rate: float) -> str:
    return "–" if math.isnan(rate) else f"{100 * rate:.2f}"


def _column(operation: str, reference: str | None, hypothesis: str | None) -> tuple[int, str, str, str]:
    """Width in terminal columns and the three cells of one step of an alignment."""
    wide = max(1, *(_width(_visible(token)) for token in (reference, hypothesis) if token is not None))
    cells = ["*" * wide if token is None else _visible(token) for token in (reference, hypothesis)]
    return wide, cells[0], cells[1], "" if operation == "hit" else operation[0].upper()


def _visible(token: str) -> str:
    return "␣" if token == " " else token


def _width(text: str) -> int:
    """Terminal columns: two for wide East Asian characters, none for combining ones."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _write(path: str | Path, lines: Iterable[str]) -> None:
    write_atomic(Path(path), "".join(f"{line}\n" for line in lines).encode())
