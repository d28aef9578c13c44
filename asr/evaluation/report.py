"""The report of an evaluation: error rates in all and by group, and the worst utterances aligned."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from asr.errors import InputError
from asr.evaluation import listing
from asr.metrics.calibration import Calibration, correct_tokens, measure_calibration
from asr.metrics.error_rate import UNITS, ErrorCounts, ErrorRates, Fold, Kind, align, tokens
from asr.metrics.significance import (
    bootstrap_interval,
    json_interval,
    known_speakers,
    percent,
    with_interval,
    with_legend,
)


@dataclass(frozen=True)
class UtteranceScores:
    """Texts and error counts of one utterance.

    Attributes:
        id: name of the utterance.
        reference: reference text.
        hypothesis: recognized text.
        counts: by kind of error rate; the first one is the main one.
        group: name of its group, such as its speaker; None without groups.
        speaker: empty where unknown.
        confidence: probability of each token (of the main kind) of the hypothesis; None where unknown.
        evidence: (tokens, K) what a calibration judges these tokens by; None where unknown.
    """

    id: str
    reference: str
    hypothesis: str
    counts: Mapping[Kind, ErrorCounts]
    group: str | None = None
    speaker: str = ""
    confidence: Sequence[float] | None = None
    evidence: np.ndarray | None = field(default=None, compare=False)

    @property
    def errors(self) -> int:
        """Number of errors of the main kind."""
        return next(iter(self.counts.values())).errors

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values; a rate over an empty reference is None."""
        group = {} if self.group is None else {"group": self.group}
        speaker = {"speaker": self.speaker} if self.speaker else {}
        texts = {"id": self.id, **group, **speaker, "reference": self.reference, "hypothesis": self.hypothesis}
        return texts | _rates_and_counts(self.counts)


@dataclass(frozen=True)
class Report:
    """Error rates of a set of utterances.

    Attributes:
        utterances: in the order of the data.
        kinds: kinds of error rates; the first one is the main one, by which utterances are sorted and aligned.
        fold: mapping of phones before they are compared, see `asr.metrics.error_rate.tokens`; None compares all phones.
    """

    utterances: Sequence[UtteranceScores]
    kinds: Sequence[Kind]
    fold: Fold | None = None

    @cached_property
    def totals(self) -> dict[Kind, ErrorCounts]:
        """Error counts of all utterances together, by kind."""
        return _sum(self.utterances, self.kinds)

    @cached_property
    def groups(self) -> dict[str, Report]:
        """Report of each group by its name, in alphabetical order; empty without groups."""
        groups: dict[str, list[UtteranceScores]] = {}
        for utterance in self.utterances:
            if utterance.group is not None:
                groups.setdefault(utterance.group, []).append(replace(utterance, group=None))
        return {name: Report(groups[name], self.kinds, self.fold) for name in sorted(groups)}

    @cached_property
    def token_confidences(self) -> list[tuple[Sequence[float], list[bool]]]:
        """Confidence of each token of a hypothesis, and whether it is correct; of the utterances with confidences."""
        return [
            (utterance.confidence, correct_tokens(*self._tokens(utterance)))
            for utterance in self.utterances
            if utterance.confidence is not None
        ]

    @cached_property
    def token_evidence(self) -> list[tuple[np.ndarray, list[bool]]]:
        """Evidence of each token of a hypothesis, and whether it is correct; of the utterances that have any."""
        return [
            (utterance.evidence, correct_tokens(*self._tokens(utterance)))
            for utterance in self.utterances
            if utterance.evidence is not None and len(utterance.evidence)
        ]

    @cached_property
    def calibration(self) -> Calibration | None:
        """Calibration of the confidences of all tokens; None without confidences."""
        confidence = [p for own, _ in self.token_confidences for p in own]
        return measure_calibration(confidence, [hit for _, correct in self.token_confidences for hit in correct])

    def _tokens(self, utterance: UtteranceScores) -> list[list[str]]:
        """Return the tokens of the main kind in reference and hypothesis."""
        return [tokens(self.kinds[0], text, self.fold) for text in (utterance.reference, utterance.hypothesis)]

    @cached_property
    def speakers(self) -> list[str] | None:
        """Speaker of each utterance, in the order of the ids; None unless all are known and there are several."""
        return known_speakers(utterance.speaker for utterance in self._by_id)

    @property
    def drawn(self) -> str:
        """What the bootstrap draws: "speakers" or "utterances"."""
        return "speakers" if self.speakers else "utterances"

    @property
    def _by_id(self) -> list[UtteranceScores]:
        # the bootstrap draws by position: a report gives the same interval in whatever order the batches came
        return sorted(self.utterances, key=lambda utterance: utterance.id)

    @cached_property
    def intervals(self) -> dict[Kind, tuple[float, float]]:
        """The 95 % confidence interval of each error rate, by the bootstrap over speakers or else utterances."""
        return {kind: bootstrap_interval(self.counts(kind), self.speakers) for kind in self.kinds}

    def counts(self, kind: Kind) -> list[ErrorCounts]:
        """Return the error counts of each utterance, in the order of the ids."""
        return [utterance.counts[kind] for utterance in self._by_id]

    @property
    def wrong(self) -> int:
        """Number of utterances with errors of the main kind."""
        return sum(utterance.errors > 0 for utterance in self.utterances)

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON values.

        "wer", "cer", "per": fractions, None where not measured or without a reference token; "words", "characters",
        "phones": counts of each kind that was measured; "utterances", "utterances_with_errors"; "interval_95": the
        bootstrap interval of each kind, and "interval_over", "speakers" or "utterances", which were drawn;
        "calibration": of the confidences, if there are any; "groups": the same by group.
        """
        result: dict[str, Any] = dict.fromkeys(UNITS)
        result |= {"utterances": len(self.utterances), "utterances_with_errors": self.wrong}
        result |= _rates_and_counts(self.totals)
        result["interval_95"] = {kind: json_interval(interval) for kind, interval in self.intervals.items()}
        result["interval_over"] = self.drawn
        if self.calibration:
            result["calibration"] = asdict(self.calibration)
        if self.groups:
            result["groups"] = {name: group.summary() for name, group in self.groups.items()}
        return result

    def table(self) -> str:
        """Format a line per group and one for all: utterances, reference tokens, rates in %, error counts.

        The last line says how the confidence intervals of the rates were made.
        """
        first = self.kinds[0]
        header = ["", "utterances", UNITS[first], f"{first.upper()} %", "sub", "del", "ins"]
        header += [f"{kind.upper()} %" for kind in self.kinds[1:]] + ["wrong utt. %"]
        lines = [header]
        for name, report in [*self.groups.items(), ("all", self)]:
            main = report.totals[first]
            rates = {k: with_interval(report.totals[k].rate, report.intervals[k]) for k in self.kinds}
            line = [name, str(len(report.utterances)), str(main.reference), rates[first]]
            line += [str(n) for n in (main.substitutions, main.deletions, main.insertions)]
            line += [rates[kind] for kind in self.kinds[1:]]
            lines.append([*line, percent(report.wrong / len(report.utterances) if report.utterances else math.nan)])
        return with_legend(listing.table(lines), [report.drawn for report in [*self.groups.values(), self]])

    def worst(self, n: int = 10, width: int | None = None) -> str:
        """Format the n utterances with the most errors, reference over hypothesis, aligned token by token.

        Errors are marked below: S substitution, D deletion, I insertion. Utterances without errors are not listed; of
        two with equally many errors the one with the higher rate comes first.

        Args:
            n: number of utterances.
            width: columns at which lines are wrapped; None: those of the terminal.
        """
        width = width or shutil.get_terminal_size((100, 24)).columns
        wrong = [utterance for utterance in self.utterances if utterance.errors]
        wrong.sort(key=lambda utterance: (-utterance.errors, utterance.counts[self.kinds[0]].reference))
        return "\n\n".join("\n".join(self._aligned(utterance, width)) for utterance in wrong[:n])

    def _aligned(self, utterance: UtteranceScores, width: int) -> Iterator[str]:
        """Yield the lines of `worst` for one utterance."""
        kind = self.kinds[0]
        c = utterance.counts[kind]
        group = f" ({utterance.group})" if utterance.group is not None else ""
        yield (
            f"{utterance.id}{group}: {kind.upper()} {percent(c.rate)} % of {c.reference} {UNITS[kind]}: "
            f"{c.substitutions} sub, {c.deletions} del, {c.insertions} ins"
        )
        steps = align(*self._tokens(utterance))
        rows = {"REF:": [reference for _, reference, _ in steps], "HYP:": [hypothesis for *_, hypothesis in steps]}
        marks = ["" if operation == "hit" else operation[0].upper() for operation, *_ in steps]
        yield from listing.aligned(rows, marks, width, gap=0 if kind == "cer" else 1)


def evaluate_pairs(
    ids: Iterable[str],
    references: Iterable[str],
    hypotheses: Iterable[str],
    kinds: Sequence[Kind] = ("wer", "cer"),
    *,
    by: Mapping[str, str] | None = None,
    speakers: Mapping[str, str] | None = None,
    fold: Fold | None = None,
    confidences: Iterable[Sequence[float] | None] | None = None,
    evidence: Iterable[np.ndarray | None] | None = None,
) -> Report:
    """Compare hypotheses with references, utterance by utterance.

    Texts are compared as they are given; see `asr.metrics.error_rate`.

    Args:
        ids: names of the utterances, each once.
        references: a text for each utterance.
        hypotheses: a text for each utterance.
        kinds: error rates to compute, the main one first.
        by: group (speaker, corpus) of each id; None: no groups.
        speakers: speaker of each id; those that it lacks, or that are empty, are unknown.
        fold: mapping of phones for "per", applied to both sides, such as `asr.text.phones.fold`.
        confidences: for each utterance the probability of each token (of the main kind) of its hypothesis, or None.
        evidence: the same of what a calibration judges them by, (tokens, K).

    Raises:
        InputError: the numbers of items differ, an id is given twice or has no group, or a kind is unknown.
    """
    ids, references, hypotheses = list(ids), list(references), list(hypotheses)
    confidence_of = [None] * len(ids) if confidences is None else list(confidences)
    evidence_of = [None] * len(ids) if evidence is None else list(evidence)
    if not len(ids) == len(references) == len(hypotheses):
        raise InputError(f"{len(ids)} ids, {len(references)} references, {len(hypotheses)} hypotheses: not one of each")
    if len(confidence_of) != len(ids):
        raise InputError(f"{len(confidence_of)} lists of confidences for {len(ids)} utterances")
    if not kinds:
        raise InputError(f"no error rate to compute: give some of {', '.join(UNITS)}")
    rates = ErrorRates(kinds, fold)
    utterances: dict[str, UtteranceScores] = {}
    rows = zip(ids, references, hypotheses, confidence_of, evidence_of, strict=True)
    for id, reference, hypothesis, confidence, own_evidence in rows:
        if id in utterances:
            raise InputError(f"utterance {id} is given twice")
        if by is not None and id not in by:
            raise InputError(f"utterance {id} has no group")
        group = by[id] if by is not None else None
        counts = rates.add(reference, hypothesis)
        speaker = (speakers or {}).get(id, "")
        utterances[id] = UtteranceScores(id, reference, hypothesis, counts, group, speaker, confidence, own_evidence)
    return Report(list(utterances.values()), tuple(kinds), fold)


def merged_summaries(reports: Mapping[str, Report]) -> dict[str, Any]:
    """Merge the summaries of several heads into one JSON object.

    Its top level is the first head's `Report.summary`, completed by the rates that only the other heads have; "heads"
    holds each head's own summary.
    """
    summaries = {head: report.summary() for head, report in reports.items()}
    merged: dict[str, Any] = {}
    for summary in summaries.values():
        intervals = {**summary["interval_95"], **merged.get("interval_95", {})}
        merged |= {key: value for key, value in summary.items() if merged.get(key) is None}
        merged["interval_95"] = intervals
    return merged | {"heads": summaries}


def _sum(utterances: Sequence[UtteranceScores], kinds: Sequence[Kind]) -> dict[Kind, ErrorCounts]:
    return {kind: sum((utterance.counts[kind] for utterance in utterances), ErrorCounts()) for kind in kinds}


def _rates_and_counts(counts: Mapping[Kind, ErrorCounts]) -> dict[str, Any]:
    result: dict[str, Any] = {kind: _number(c.rate) for kind, c in counts.items()}
    for kind, c in counts.items():
        result[UNITS[kind]] = {"reference": c.reference, "errors": c.errors, **asdict(c)}
    return result


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
