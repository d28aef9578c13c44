"""Compare two recognizers on the same utterances: is one better, and in what?"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from asr.errors import InputError
from asr.evaluation import hypotheses, listing
from asr.evaluation.base import evaluate_model
from asr.evaluation.hypotheses import Hypotheses
from asr.evaluation.report import Report, evaluate_pairs
from asr.metrics.error_rate import UNITS, Kind, align, tokens
from asr.metrics.matched_pairs import MatchedPairs, error_positions, matched_pairs_test
from asr.metrics.significance import Difference, bootstrap_difference, with_interval, with_legend
from asr.text.normalization import TextNormalizer
from asr.utils.options import check_choice

WORDS_SHOWN = 12
IDS_SHOWN = 5
KINDS: Mapping[Kind, tuple[Kind, ...]] = {"wer": ("wer", "cer"), "cer": ("cer",), "per": ("per",)}


@dataclass(frozen=True)
class Comparison:
    """Two recognizers on the same utterances.

    Attributes:
        names: of A and B.
        a: report of A, its utterances in the order of their ids.
        b: report of B, of the same utterances in the same order.
    """

    names: tuple[str, str]
    a: Report
    b: Report

    @property
    def kind(self) -> Kind:
        """The main kind of error rate."""
        return self.a.kinds[0]

    @cached_property
    def differences(self) -> dict[str, dict[Kind, Difference]]:
        """Differences of the error rates, B minus A, by what was drawn: "utterances", and "speakers" if known."""
        blocks: dict[str, list[str] | None] = {"utterances": None}
        if self.a.speakers:
            blocks["speakers"] = self.a.speakers
        return {
            drawn: {kind: bootstrap_difference(self.a.counts(kind), self.b.counts(kind), own) for kind in self.a.kinds}
            for drawn, own in blocks.items()
        }

    @cached_property
    def sentences(self) -> list[tuple[list[str], list[str], list[str]]]:
        """Tokens of the reference, of A's and of B's hypothesis of each utterance."""
        return [
            (tokens(self.kind, a.reference), tokens(self.kind, a.hypothesis), tokens(self.kind, b.hypothesis))
            for a, b in zip(self.a.utterances, self.b.utterances, strict=True)
        ]

    @cached_property
    def matched_pairs(self) -> MatchedPairs:
        """The matched pairs test on segments of the utterances."""
        return matched_pairs_test(self.sentences)

    @cached_property
    def differing(self) -> list[int]:
        """Numbers of errors of B minus those of A, by utterance."""
        return [b.errors - a.errors for a, b in zip(self.a.utterances, self.b.utterances, strict=True)]

    @cached_property
    def tokens_right(self) -> tuple[Counter[str], Counter[str]]:
        """How often each token of the references is right in A only, and in B only."""
        only_a: Counter[str] = Counter()
        only_b: Counter[str] = Counter()
        for reference, first, second in self.sentences:
            wrong = (error_positions(reference, hypothesis)[1::2] for hypothesis in (first, second))
            for token, a, b in zip(reference, *wrong, strict=True):
                if a != b:
                    (only_b if a else only_a)[token] += 1
        return only_a, only_b

    def summary(self) -> dict[str, Any]:
        """Return the comparison as JSON values; differences are B minus A, error rates fractions."""
        only_a, only_b = self.tokens_right
        return {
            "a": {"name": self.names[0], **self.a.summary()},
            "b": {"name": self.names[1], **self.b.summary()},
            "difference": {
                drawn: {kind: _plain(asdict(difference)) for kind, difference in differences.items()}
                for drawn, differences in self.differences.items()
            },
            "matched_pairs": _plain(asdict(self.matched_pairs)),
            "utterances": {
                "a_better": sum(d > 0 for d in self.differing),
                "equal": self.differing.count(0),
                "b_better": sum(d < 0 for d in self.differing),
            },
            "right_in_one_only": {
                token: {"a": only_a[token], "b": only_b[token]} for token in sorted(only_a.keys() | only_b.keys())
            },
        }

    def text(self, worst: int = 5) -> str:
        """Format the comparison for people, with the ``worst`` utterances: those with the greatest differences."""
        first = self.kind
        known = self.differences.get("speakers", self.differences["utterances"])
        lines = [["", "", f"{first.upper()} %", "sub", "del", "ins", *(f"{k.upper()} %" for k in self.a.kinds[1:])]]
        for letter, name, report in zip("AB", self.names, (self.a, self.b), strict=True):
            rates = {k: with_interval(report.totals[k].rate, report.intervals[k]) for k in report.kinds}
            main = report.totals[first]
            counts = map(str, (main.substitutions, main.deletions, main.insertions))
            lines.append([letter, name, rates[first], *counts, *(rates[k] for k in report.kinds[1:])])
        rates = {k: with_interval(known[k].value, known[k].interval) for k in self.a.kinds}
        lines.append(["B-A", "", rates[first], "", "", "", *(rates[k] for k in self.a.kinds[1:])])
        a_better, b_better = (sum(sign * d > 0 for d in self.differing) for sign in (1, -1))
        speakers = f" of {known[first].blocks} speakers" if "speakers" in self.differences else ""
        reference = self.a.totals[first].reference
        parts = [
            f"{len(self.a.utterances)} utterances{speakers}, {reference} {UNITS[first]}",
            with_legend(listing.table(lines), [self.a.drawn]),
            self._significance(),
            f"utterances with fewer errors: {a_better} in A, {b_better} in B; equal: {self.differing.count(0)}",
            *self._token_lines(),
        ]
        if worst and any(self.differing):
            parts += ["", "greatest differences (below each error: which of the two is wrong)"]
            parts += [line for index in self._greatest(worst) for line in ("", *self._aligned(index))]
        return "\n".join(parts)

    def _significance(self) -> str:
        found = [
            f"{_p(differences[self.kind].p)} (bootstrap over {differences[self.kind].blocks} {drawn})"
            for drawn, differences in self.differences.items()
        ]
        found.append(f"{_p(self.matched_pairs.p)} (matched pairs test of {self.matched_pairs.segments} segments)")
        return f"p-value of equal {self.kind.upper()}: {', '.join(found)}"

    def _token_lines(self) -> list[str]:
        """A line for each system, with the tokens that it has right more often than the other."""
        lines = []
        only_a, only_b = self.tokens_right
        for letter, other, mine, theirs in (("A", "B", only_a, only_b), ("B", "A", only_b, only_a)):
            ranked = sorted(mine, key=lambda token: (theirs[token] - mine[token], -mine[token], token))
            listed = [f"{t} {mine[t]}:{theirs[t]}" for t in ranked[:WORDS_SHOWN] if mine[t] > theirs[t]]
            if listed:
                lines.append(
                    f"{UNITS[self.kind]} right in {letter}, wrong in {other} (: the reverse): {', '.join(listed)}"
                )
        return lines

    def _greatest(self, count: int) -> list[int]:
        """The utterances with the greatest differences; of equal ones the shorter first."""
        order = [index for index, difference in enumerate(self.differing) if difference]
        return sorted(order, key=lambda i: (-abs(self.differing[i]), len(self.sentences[i][0])))[:count]

    def _aligned(self, index: int) -> list[str]:
        a, b = self.a.utterances[index], self.b.utterances[index]
        speaker = f" ({a.speaker})" if a.speaker else ""
        errors = [f"{name} {u.errors} errors" for name, u in (("A", a), ("B", b))]
        head = f"{a.id}{speaker}: {', '.join(errors)} in {a.counts[self.kind].reference} {UNITS[self.kind]}"
        columns = _columns(*self.sentences[index])
        rows = {label: [c[row] for c in columns] for row, label in enumerate(("REF:", "A:", "B:"))}
        marks = ["".join(name for name, t in zip("AB", c[1:], strict=True) if t != c[0]) for c in columns]
        width = shutil.get_terminal_size((100, 24)).columns
        return [head, *listing.aligned(rows, marks, width, gap=0 if self.kind == "cer" else 1)]


def compare(a: Hypotheses, b: Hypotheses, *, metric: Kind | None = None, normalization: str = "none") -> Comparison:
    """Compare two sets of hypotheses of the same utterances.

    Args:
        a: hypotheses with their references.
        b: hypotheses of the same utterances.
        metric: the main error rate; None: "per" of phones, or else "wer" (with "cer").
        normalization: of all texts before they are compared, see `TextNormalizer.from_config`.

    Raises:
        InputError: the utterances or their references differ, or there is no reference.
    """
    _check_utterances(a, b)
    kind: Kind = metric or ("per" if a.is_phones and b.is_phones else "wer")
    check_choice("metric", kind, KINDS)
    ids = sorted(a.texts)
    normalize = TextNormalizer.from_config(normalization).apply
    references = _common_references(ids, a, b, normalize)
    speakers = {**b.speakers, **a.speakers}

    def report(own: Hypotheses) -> Report:
        return evaluate_pairs(ids, references, [normalize(own.texts[id]) for id in ids], KINDS[kind], speakers=speakers)

    return Comparison((a.name, b.name), report(a), report(b))


def compare_files(
    a: str | Path,
    b: str | Path,
    data: Sequence[str] = (),
    *,
    metric: Kind | None = None,
    normalization: str = "none",
    **options: Any,
) -> Comparison:
    """Compare two files of hypotheses, two models, or one of each (`asr compare`).

    Args:
        a: a file for `hypotheses.read`, or a model directory or training run, which is evaluated on ``data``.
        b: another one.
        data: manifests; or, without models, what `hypotheses.read_references` reads. (): the references are in the
            files.
        metric: as in `compare`.
        normalization: as in `compare`.
        **options: of the evaluation of models, see `asr.evaluation.base.EvaluationOptions`.

    Raises:
        InputError: a file, model or the data cannot be used, or what `compare` raises.
    """
    is_model = [Path(path).is_dir() for path in (a, b)]
    if any(is_model) and not data:
        path = (a, b)[is_model.index(True)]
        raise InputError(f"{path}: give the manifest to evaluate this model on, as third argument")
    loaded = [
        _evaluate(path, data, options) if own else hypotheses.read(path)
        for path, own in zip((a, b), is_model, strict=True)
    ]
    if data and not all(is_model):
        references = hypotheses.read_references(data)
        if any(is_model):  # its references are normalized as its texts are
            references = replace(references, texts=loaded[is_model.index(True)].references)
        loaded = [own if model else references.complete(own) for own, model in zip(loaded, is_model, strict=True)]
    return compare(*loaded, metric=metric, normalization=normalization)


def _evaluate(model: str | Path, data: Sequence[str], options: Mapping[str, Any]) -> Hypotheses:
    rows = evaluate_model(model, data, details=True, worst=0, **options).details
    return hypotheses.of_records(str(model), ((f"{model}, {row['id']}", row) for row in rows))


def _check_utterances(a: Hypotheses, b: Hypotheses) -> None:
    """Raise InputError unless both have the same utterances."""
    missing = [(x, y, [id for id in x.texts if id not in y.texts]) for x, y in ((a, b), (b, a))]
    if any(ids for *_, ids in missing):
        parts = [f"{y.name} lacks {len(ids)} of {len(x.texts)} ({_some(ids)})" for x, y, ids in missing if ids]
        raise InputError(f"the utterances are not the same: {'; '.join(parts)}")


def _common_references(ids: Sequence[str], a: Hypotheses, b: Hypotheses, normalize: Callable[[str], str]) -> list[str]:
    """Return the normalized references of both. Raises InputError where they differ or are missing."""
    references: dict[str, str] = {}
    for own in (a, b):
        for id, text in own.references.items():
            text = normalize(text)
            if references.setdefault(id, text) != text:
                raise InputError(
                    f"utterance {id} has another reference in {b.name} than in {a.name}: {text[:60]!r}, not "
                    f"{references[id][:60]!r} (--normalization english makes case and punctuation equal)"
                )
    if missing := [id for id in ids if id not in references]:
        raise InputError(
            f"{len(missing)} of {len(ids)} utterances have no reference ({_some(missing)}): give a manifest, .trn file "
            "or text with them as third argument"
        )
    return [references[id] for id in ids]


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:IDS_SHOWN]) + (", …" if len(ids) > IDS_SHOWN else "")


def _columns(
    reference: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> list[tuple[str | None, str | None, str | None]]:
    """Return the tokens of reference, A and B that stand below each other; None where there is none."""
    columns: list[tuple[str | None, str | None, str | None]] = []
    sides = [_slots(reference, hypothesis) for hypothesis in (first, second)]
    for token, *slots in zip([*reference, None], *sides, strict=True):
        (inserted_a, a), (inserted_b, b) = slots
        columns += [(None, left, right) for left, right in zip_longest(inserted_a, inserted_b)]
        if token is not None:
            columns.append((token, a, b))
    return columns


def _slots(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[list[str], str | None]]:
    """Return, for each token of a reference and for its end, what is inserted before it and what stands for it."""
    slots: list[tuple[list[str], str | None]] = []
    inserted: list[str] = []
    for operation, _, token in align(reference, hypothesis):
        if operation == "insertion" and token is not None:
            inserted.append(token)
        else:
            slots.append((inserted, token))
            inserted = []
    return [*slots, (inserted, None)]


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values: None for NaN."""

    def plain(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return list(map(plain, value))
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in values.items()}
