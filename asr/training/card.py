"""The model card: what a model is, how it was trained, what it scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr import __version__
from asr.tasks.ctc import CTCTask


def render(config: Mapping[str, Any], task: CTCTask, figures: Mapping[str, Any]) -> str:
    """Markdown for the model directory's README.md."""
    training = figures["training"]
    weights = sum(parameter.numel() for parameter in task.parameters())
    heads = ", ".join(f"{head} ({len(v)} {v.kind})" for head, v in task.vocabularies.items())
    lines = [
        f"# {config['name']}",
        "",
        f"A speech recogniser trained with asr {__version__}: {config['features']['type']} features, "
        f"{weights / 1e6:.2f} M weights, CTC heads {heads}; a frame of scores every {1000 * task.frame_seconds:g} ms.",
        "",
        f"Trained on {training['hours_of_audio']} hours of audio for {training['epochs']} epochs "
        f"({training['minutes']:.1f} minutes on {training['hardware']}), seed {training['seed']}; "
        f"the weights are those of epoch {training['best_epoch']}, the best on dev."
        + (f" It began with the weights of `{config['init']}`." if config["init"] else ""),
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


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.2f}"
