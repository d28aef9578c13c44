"""Score hypotheses in files against references in files, of any recognizer: what `asr score` does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from asr.data.manifest_files import manifest_kind
from asr.data.timed_lines import read_ctm_words
from asr.errors import InputError
from asr.evaluation import hypotheses as hypotheses_
from asr.evaluation.compare import KINDS
from asr.evaluation.hypotheses import Hypotheses, stm_segments
from asr.evaluation.report import Report, evaluate_pairs
from asr.metrics.error_rate import Kind
from asr.text.normalization import TextNormalizer
from asr.utils.options import check_choice
from asr.utils.text_files import read_lines

log = logging.getLogger(__name__)

IDS_SHOWN = 5


def score_files(
    reference: str | Path,
    hypothesis: str | Path,
    *,
    metric: Kind | None = None,
    normalization: str = "none",
    plain: bool = False,
    missing_as_empty: bool = False,
    by_speaker: bool = False,
) -> Report:
    """Compare a file of hypotheses with one of references (`asr score`).

    Utterances are matched by their ids. The words of a ``.ctm`` file are those of its recordings; with references in an
    ``.stm`` file they are those of the segments in which their middle lies, and words outside of all are left out.

    Args:
        reference: ``.trn``, lines ``id text``, ``.stm``, ``.ctm``, a manifest, or what `hypotheses.read_references`
            reads.
        hypothesis: what `hypotheses.read` reads.
        metric: the main error rate; None: "per" of phones, or else "wer" (with "cer").
        normalization: of all texts before they are compared, see `TextNormalizer.from_config`.
        plain: both files have texts without ids; the first line belongs to the first line, and so on.
        missing_as_empty: utterances without a hypothesis count as empty ones, instead of an error.
        by_speaker: report each speaker too.

    Raises:
        InputError: a file cannot be read, utterances have no hypothesis, or no hypothesis has a reference.
    """
    found = _read(Path(reference), Path(hypothesis), plain)
    kind: Kind = metric or ("per" if found.is_phones else "wer")
    check_choice("metric", kind, KINDS)
    ids = [id for id in found.references if id in found.texts or missing_as_empty]
    without = [id for id in found.references if id not in found.texts]
    extra = [id for id in found.texts if id not in found.references]
    if len(without) == len(found.references) and found.texts:
        raise InputError(
            f"no utterance of {hypothesis} is in {reference}: {_some(extra)} and {_some(without)} (lines without ids: "
            "--plain)"
        )
    if without and not missing_as_empty:
        raise InputError(
            f"{hypothesis} lacks {len(without)} of {len(found.references)} utterances ({_some(without)}); "
            "--missing-as-empty counts their words as deleted"
        )
    if extra:
        log.warning("%d hypotheses have no reference and are left out: %s", len(extra), _some(extra))
    normalize = TextNormalizer.from_config(normalization).apply
    return evaluate_pairs(
        ids,
        [normalize(found.references[id]) for id in ids],
        [normalize(found.texts.get(id, "")) for id in ids],
        KINDS[kind],
        by={id: found.speakers.get(id) or "unknown" for id in ids} if by_speaker else None,
        speakers=found.speakers,
    )


def _read(reference: Path, hypothesis: Path, plain: bool) -> Hypotheses:
    """Return hypotheses with their references."""
    if plain:
        lines = [[" ".join(line.split()) for line in read_lines(path)] for path in (reference, hypothesis)]
        if len(lines[0]) != len(lines[1]):
            raise InputError(
                f"{reference} has {len(lines[0])} lines, {hypothesis} has {len(lines[1])}: --plain needs as many"
            )
        texts: list[Mapping[str, str]] = [{f"line {n}": t for n, t in enumerate(own, start=1)} for own in lines]
        return Hypotheses(str(hypothesis), texts[1], texts[0])
    if manifest_kind(reference) == ".stm" and manifest_kind(hypothesis) == ".ctm":
        return _by_time(reference, hypothesis)
    references = hypotheses_.read_references([str(reference)])
    found = references.complete(hypotheses_.read(hypothesis))
    return replace(found, references=references.texts)


def _by_time(reference: Path, hypothesis: Path) -> Hypotheses:
    """Return, for each segment of an STM file, the words of a CTM file whose middle lies in it."""
    segments, words = stm_segments(reference), read_ctm_words(hypothesis)
    texts: dict[str, str] = {}
    references: dict[str, str] = {}
    speakers: dict[str, str] = {}
    kept = total = 0
    for channels in words.values():
        total += sum(map(len, channels.values()))
    for segment in segments:
        channels = words.get(segment.recording, {})
        # a file of one channel may call it otherwise: 1 and A
        own = channels.get(segment.channel) or (next(iter(channels.values())) if len(channels) == 1 else [])
        inside = [word.text for word in own if segment.start <= (word.start + word.end) / 2 < segment.end]
        id = f"{segment.recording}-{segment.channel}-{segment.start:.2f}-{segment.end:.2f}-{segment.speaker}"
        kept += len(inside)
        texts[id], references[id], speakers[id] = " ".join(inside), segment.text, segment.speaker
    if total > kept:
        log.warning("%d of %d words are outside of all segments of %s and left out", total - kept, total, reference)
    return Hypotheses(str(hypothesis), texts, references, speakers)


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:IDS_SHOWN]) + (", …" if len(ids) > IDS_SHOWN else "")
