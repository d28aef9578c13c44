"""The model card: what a model is, how it was trained, what it scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from asr import __version__
from asr.tasks.captioning import CaptioningTask
from asr.tasks.classification import ClassificationTask
from asr.tasks.ctc import CTCTask
from asr.tasks.language import LanguageTask
from asr.tasks.seq2seq import Seq2SeqTask


def render(config: Mapping[str, Any], task: CTCTask, figures: Mapping[str, Any]) -> str:
    """Markdown for the model directory's README.md."""
    training = figures["training"]
    heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    lines = [
        f"# {config['name']}",
        "",
        f"A speech recogniser trained with asr {__version__}: {config['features']['type']} features, "
        f"{millions(task)} weights, CTC heads {heads}; a frame of scores every {1000 * task.frame_seconds:g} ms.",
        "",
        _trained(config, training, f"{training['hours_of_audio']} hours of audio"),
        "",
        "| set | head | utterances | WER % | CER % | PER % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for split in ("dev", "test"):
        for name, reports in figures.get(split, {}).items():
            for head, report in reports.items():
                cells = [_percent(report.get(kind)) for kind in ("wer", "cer", "per")]
                label = split if name == split else f"{split} {name}"
                lines.append(f"| {label} | {head} | {report['utterances']} | {' | '.join(cells)} |")
    lines += ["", "Greedy decoding where nothing else is said. The whole configuration is in `config.yaml`.", ""]
    lines += ["```", "asr transcribe FILES --model THIS_DIRECTORY", "```", ""]
    return "\n".join(lines)


def language(config: Mapping[str, Any], task: LanguageTask, figures: Mapping[str, Any]) -> str:
    """The card of a language model."""
    training, vocabulary = figures["training"], task.vocabulary
    lines = [
        f"# {config['name']}",
        "",
        f"A language model trained with asr {__version__}: {millions(task)} weights, {len(vocabulary)} labels "
        f"({vocabulary.kind}).",
        "",
        _trained(config, training, f"{training['characters']} characters"),
        "",
        "| set | labels | nats a label | bits a character |",
        "| --- | --- | --- | --- |",
    ]
    for split in ("dev", "test"):
        if row := figures.get(split):
            lines.append(
                f"| {split} | {row['labels']} | {row['nats_per_label']:.4f} | {row['bits_per_character']:.4f} |"
            )
    lines += ["", "The whole configuration is in `config.yaml`.", ""]
    lines += ["```", "asr generate THIS_DIRECTORY --prompt TEXT", "```", ""]
    return "\n".join(lines)


def seq2seq(config: Mapping[str, Any], task: Seq2SeqTask, figures: Mapping[str, Any]) -> str:
    """The card of a seq2seq model."""
    sizes = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    attention = "with" if task.network.key is not None else "without"
    rows = {split: figures[split] for split in ("dev", "test") if split in figures}
    names = [name for name in next(iter(rows.values())) if "error" in name]
    lines = [
        f"# {config['name']}",
        "",
        f"A seq2seq model trained with asr {__version__}: {millions(task)} weights, {attention} attention; it writes "
        f"and reads {sizes}.",
        "",
        _trained(config, figures["training"], f"{figures['training']['pairs']} pairs"),
        "",
        f"| set | sequences | {' | '.join(name.replace('_', ' ') + ' %' for name in names)} |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for split, row in rows.items():
        lines.append(f"| {split} | {row['sequences']} | {' | '.join(_percent(row[name]) for name in names)} |")
    lines += ["", "The whole configuration is in `config.yaml`.", ""]
    lines += ["```", "asr pronounce WORDS --model THIS_DIRECTORY", "```", ""]
    return "\n".join(lines)


def captioning(config: Mapping[str, Any], task: CaptioningTask, figures: Mapping[str, Any]) -> str:
    """The card of a captioner."""
    training = figures["training"]
    attention = "with" if task.network.key is not None else "without"
    rows = {split: figures[split] for split in ("dev", "test") if split in figures}
    names = [name for name in next(iter(rows.values())) if name != "images"]
    lines = [
        f"# {config['name']}",
        "",
        f"An image captioner trained with asr {__version__}: {millions(task)} weights, {attention} attention, "
        f"{len(task.vocabulary)} words.",
        "",
        _trained(config, training, f"{training['captions']} captions of {training['images']} images"),
        "",
        f"| set | images | {' | '.join(names)} |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for split, row in rows.items():
        lines.append(f"| {split} | {row['images']} | {' | '.join(f'{100 * row[name]:.1f}' for name in names)} |")
    lines += ["", "The whole configuration is in `config.yaml`.", ""]
    lines += ["```", "asr caption IMAGES --model THIS_DIRECTORY", "```", ""]
    return "\n".join(lines)


def classification(config: Mapping[str, Any], task: ClassificationTask, figures: Mapping[str, Any]) -> str:
    """The card of a classifier."""
    training, names = figures["training"], task.vocabulary.tokens
    lines = [
        f"# {config['name']}",
        "",
        f"A classifier of utterances trained with asr {__version__}: {config['features']['type']} features, "
        f"{millions(task)} weights, {task.pooling.kind} pooling, {len(names)} classes: {', '.join(names)}.",
        "",
        _trained(config, training, f"{training['hours_of_audio']} hours of audio"),
        "",
        "| set | utterances | errors | accuracy % | taken for another most often |",
        "| --- | --- | --- | --- | --- |",
    ]
    for split in ("dev", "test"):
        for name, row in figures.get(split, {}).items():
            worst = ", ".join(f"{said} for {heard} ({count})" for said, heard, count in row["confusions"][:3])
            label = split if name == split else f"{split} {name}"
            lines.append(f"| {label} | {row['utterances']} | {row['errors']} | {100 * row['accuracy']:.2f} | {worst} |")
    lines += ["", "The whole configuration is in `config.yaml`.", ""]
    lines += ["```", "asr classify FILES --model THIS_DIRECTORY", "```", ""]
    return "\n".join(lines)


def millions(task: nn.Module) -> str:
    """How many weights a task has."""
    return f"{sum(parameter.numel() for parameter in task.parameters()) / 1e6:.2f} M"


def _trained(config: Mapping[str, Any], training: Mapping[str, Any], data: str) -> str:
    began = f" It began with the weights of `{config['init']}`." if config["init"] else ""
    return (
        f"Trained on {data} for {training['epochs']} epochs ({training['minutes']:.1f} minutes on "
        f"{training['hardware']}), seed {training['seed']}; the weights are those of epoch {training['best_epoch']}, "
        f"the best on dev.{began}"
    )


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.2f}"
