"""Write the model card: what a model is, how it was trained and how it scores."""

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
    """Return the card of a recognizer."""
    heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    rows = [
        [name, head, report["utterances"], *(percent(report.get(kind)) for kind in ("wer", "cer", "per"))]
        for name, reports in named_sets(figures)
        for head, report in reports.items()
    ]
    return model_card(
        config,
        figures,
        description=f"speech recognizer, {config['features']['type']} features, {millions(task)} weights, CTC heads "
        f"{heads}; a frame of scores every {1000 * task.frame_seconds:g} ms",
        data=f"{figures['training']['hours_of_audio']} hours of audio",
        header=["set", "head", "utterances", "WER %", "CER %", "PER %"],
        rows=rows,
        command="asr transcribe FILES --model THIS_DIRECTORY",
        note="Greedy decoding unless stated otherwise. ",
    )


def language(config: Mapping[str, Any], task: LanguageTask, figures: Figures) -> str:
    """Return the card of a language model."""
    rows = [
        [split, row["labels"], f"{row['nats_per_label']:.4f}", f"{row['bits_per_character']:.4f}"]
        for split, row in splits(figures)
    ]
    return model_card(
        config,
        figures,
        description=f"language model, {millions(task)} weights, {len(task.vocabulary)} labels ({task.vocabulary.kind})",
        data=f"{figures['training']['characters']} characters",
        header=["set", "labels", "nats a label", "bits a character"],
        rows=rows,
        command="asr generate THIS_DIRECTORY --prompt TEXT",
    )


def seq2seq(config: Mapping[str, Any], task: Seq2SeqTask, figures: Figures) -> str:
    """Return the card of a seq2seq model."""
    sizes = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    attention = "with" if task.network.key is not None else "without"
    rows = list(splits(figures))
    names = [name for name in rows[0][1] if "error" in name]
    return model_card(
        config,
        figures,
        description=f"seq2seq model, {millions(task)} weights, {attention} attention; output and input: {sizes}",
        data=f"{figures['training']['pairs']} pairs",
        header=["set", "sequences", *(f"{name.replace('_', ' ')} %" for name in names)],
        rows=[[split, row["sequences"], *(percent(row[name]) for name in names)] for split, row in rows],
        command="asr pronounce WORDS --model THIS_DIRECTORY",
    )


def captioning(config: Mapping[str, Any], task: CaptioningTask, figures: Figures) -> str:
    """Return the card of a captioner."""
    training = figures["training"]
    attention = "with" if task.network.key is not None else "without"
    rows = list(splits(figures))
    names = [name for name in rows[0][1] if name != "images"]
    return model_card(
        config,
        figures,
        description=f"image captioner, {millions(task)} weights, {attention} attention, {len(task.vocabulary)} words",
        data=f"{training['captions']} captions of {training['images']} images",
        header=["set", "images", *names],
        rows=[[split, row["images"], *(f"{100 * row[name]:.1f}" for name in names)] for split, row in rows],
        command="asr caption IMAGES --model THIS_DIRECTORY",
    )


def classification(config: Mapping[str, Any], task: ClassificationTask, figures: Figures) -> str:
    """Return the card of a classifier."""
    names = task.vocabulary.tokens
    rows = []
    for name, row in named_sets(figures):
        confusions = ", ".join(f"{ref} as {hyp} ({count})" for ref, hyp, count in row["confusions"][:3])
        rows.append([name, row["utterances"], row["errors"], f"{100 * row['accuracy']:.2f}", confusions])
    return model_card(
        config,
        figures,
        description=f"classifier of utterances, {config['features']['type']} features, {millions(task)} weights, "
        f"{task.pooling.kind} pooling, {len(names)} classes: {', '.join(names)}",
        data=f"{figures['training']['hours_of_audio']} hours of audio",
        header=["set", "utterances", "errors", "accuracy %", "most frequent confusions"],
        rows=rows,
        command="asr classify FILES --model THIS_DIRECTORY",
    )


def splits(figures: Figures) -> Iterator[tuple[str, Any]]:
    """Yield dev and test with their figures, where there are any."""
    return ((split, figures[split]) for split in ("dev", "test") if figures.get(split))


def named_sets(figures: Figures) -> Iterator[tuple[str, Any]]:
    """Yield each manifest of dev and test with its figures, by a name to show."""
    for split, sets in splits(figures):
        for name, row in sets.items():
            yield split if name == split else f"{split} {name}", row


def model_card(
    config: Mapping[str, Any],
    figures: Figures,
    *,
    description: str,
    data: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    command: str,
    note: str = "",
) -> str:
    """Return the Markdown of a model directory's README.md.

    Args:
        config: configuration of the training.
        figures: its figures, with the entry ``training``.
        description: the kind of model, its size and its vocabularies.
        data: amount of training data, with its unit.
        header: columns of the table of results.
        rows: rows of the table of results.
        command: an example of how to use the model.
        note: a sentence before the pointer to the configuration.
    """
    training = figures["training"]
    init = f" It started from the weights of `{config['init']}`." if config["init"] else ""
    trained = (
        f"Trained on {data} for {training['epochs']} epochs ({training['minutes']:.1f} minutes on "
        f"{training['hardware']}), seed {training['seed']}; the weights are those of epoch {training['best_epoch']}, "
        f"the best on dev.{init}"
    )
    table = [f"| {' | '.join(map(str, row))} |" for row in (header, ["---"] * len(header), *rows)]
    lines = [f"# {config['name']}", "", f"Trained with asr {__version__}: {description}.", "", trained, "", *table, ""]
    lines += [f"{note}The whole configuration is in `config.yaml`.", "", "```", command, "```", ""]
    return "\n".join(lines)


def millions(task: nn.Module) -> str:
    """Return the number of weights of a task, in millions."""
    return f"{sum(parameter.numel() for parameter in task.parameters()) / 1e6:.2f} M"


def percent(rate: float | None) -> str:
    """Format a rate as percent; an empty string for None."""
    return "" if rate is None else f"{100 * rate:.2f}"
