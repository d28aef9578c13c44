"""The model card: what a model is, how it was trained, what it scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from asr._version import __version__
from asr.tasks.captioning import CaptioningTask
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.tasks.language import LanguageTask
from asr.tasks.seq2seq import Seq2SeqTask

Figures = Mapping[str, Any]


def speech(config: Mapping[str, Any], task: CTCTask, figures: Figures) -> str:
    """The card of a recogniser."""
    heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    rows = [
        [name, head, report["utterances"], *(_percent(report.get(kind)) for kind in ("wer", "cer", "per"))]
        for name, reports in _sets(figures)
        for head, report in reports.items()
    ]
    return _card(
        config,
        figures,
        f"speech recogniser, {config['features']['type']} features, {millions(task)} weights, CTC heads {heads}; "
        f"a frame of scores every {1000 * task.frame_seconds:g} ms",
        f"{figures['training']['hours_of_audio']} hours of audio",
        ["set", "head", "utterances", "WER %", "CER %", "PER %"],
        rows,
        "asr transcribe FILES --model THIS_DIRECTORY",
        "Greedy decoding where nothing else is said. ",
    )


def language(config: Mapping[str, Any], task: LanguageTask, figures: Figures) -> str:
    """The card of a language model."""
    rows = [
        [split, row["labels"], f"{row['nats_per_label']:.4f}", f"{row['bits_per_character']:.4f}"]
        for split, row in _splits(figures)
    ]
    return _card(
        config,
        figures,
        f"language model, {millions(task)} weights, {len(task.vocabulary)} labels ({task.vocabulary.kind})",
        f"{figures['training']['characters']} characters",
        ["set", "labels", "nats a label", "bits a character"],
        rows,
        "asr generate THIS_DIRECTORY --prompt TEXT",
    )


def seq2seq(config: Mapping[str, Any], task: Seq2SeqTask, figures: Figures) -> str:
    """The card of a seq2seq model."""
    sizes = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    attention = "with" if task.network.key is not None else "without"
    rows = list(_splits(figures))
    names = [name for name in rows[0][1] if "error" in name]
    return _card(
        config,
        figures,
        f"seq2seq model, {millions(task)} weights, {attention} attention; it writes and reads {sizes}",
        f"{figures['training']['pairs']} pairs",
        ["set", "sequences", *(f"{name.replace('_', ' ')} %" for name in names)],
        [[split, row["sequences"], *(_percent(row[name]) for name in names)] for split, row in rows],
        "asr pronounce WORDS --model THIS_DIRECTORY",
    )


def captioning(config: Mapping[str, Any], task: CaptioningTask, figures: Figures) -> str:
    """The card of a captioner."""
    training = figures["training"]
    attention = "with" if task.network.key is not None else "without"
    rows = list(_splits(figures))
    names = [name for name in rows[0][1] if name != "images"]
    return _card(
        config,
        figures,
        f"image captioner, {millions(task)} weights, {attention} attention, {len(task.vocabulary)} words",
        f"{training['captions']} captions of {training['images']} images",
        ["set", "images", *names],
        [[split, row["images"], *(f"{100 * row[name]:.1f}" for name in names)] for split, row in rows],
        "asr caption IMAGES --model THIS_DIRECTORY",
    )


def classification(config: Mapping[str, Any], task: ClassificationTask, figures: Figures) -> str:
    """The card of a classifier."""
    names = task.vocabulary.tokens
    rows = []
    for name, row in _sets(figures):
        worst = ", ".join(f"{said} for {heard} ({count})" for said, heard, count in row["confusions"][:3])
        rows.append([name, row["utterances"], row["errors"], f"{100 * row['accuracy']:.2f}", worst])
    return _card(
        config,
        figures,
        f"classifier of utterances, {config['features']['type']} features, {millions(task)} weights, "
        f"{task.pooling.kind} pooling, {len(names)} classes: {', '.join(names)}",
        f"{figures['training']['hours_of_audio']} hours of audio",
        ["set", "utterances", "errors", "accuracy %", "taken for another most often"],
        rows,
        "asr classify FILES --model THIS_DIRECTORY",
    )


def _splits(figures: Figures) -> Iterator[tuple[str, Any]]:
    """Dev and test, where there are figures of them."""
    return ((split, figures[split]) for split in ("dev", "test") if figures.get(split))


def _sets(figures: Figures) -> Iterator[tuple[str, Any]]:
    """The manifests of dev and test, by the names to show."""
    for split, found in _splits(figures):
        for name, row in found.items():
            yield split if name == split else f"{split} {name}", row


def _card(
    config: Mapping[str, Any],
    figures: Figures,
    what: str,
    data: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    command: str,
    note: str = "",
) -> str:
    """Markdown for the model directory's README.md."""
    training = figures["training"]
    began = f" It began with the weights of `{config['init']}`." if config["init"] else ""
    trained = (
        f"Trained on {data} for {training['epochs']} epochs ({training['minutes']:.1f} minutes on "
        f"{training['hardware']}), seed {training['seed']}; the weights are those of epoch {training['best_epoch']}, "
        f"the best on dev.{began}"
    )
    table = [f"| {' | '.join(map(str, row))} |" for row in (header, ["---"] * len(header), *rows)]
    lines = [f"# {config['name']}", "", f"Trained with asr {__version__}: {what}.", "", trained, "", *table, ""]
    lines += [f"{note}The whole configuration is in `config.yaml`.", "", "```", command, "```", ""]
    return "\n".join(lines)


def millions(task: nn.Module) -> str:
    """How many weights a task has."""
    return f"{sum(parameter.numel() for parameter in task.parameters()) / 1e6:.2f} M"


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.2f}"
