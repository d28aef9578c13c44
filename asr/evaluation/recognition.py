"""Evaluate recognizers: word, character and phone error rates on manifests of speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr.evaluation.base import Evaluation, EvaluationOptions, single_model
from asr.evaluation.speech import evaluate_recognizer, read_cuts
from asr.inference.decoders.base import HeadDecoder
from asr.inference.decoders.beam import BeamDecoder
from asr.inference.decoders.factory import make_decoder
from asr.inference.recognizer import Recognizer
from asr.models.directory import read_config
from asr.tasks.speech_frontend import SpeechTask


def greedy_decoders(task: SpeechTask) -> dict[str, HeadDecoder]:
    """Return the greedy decoder of each head."""
    return {head: make_decoder(v, {"type": "greedy"}, task.transducer) for head, v in task.vocabularies.items()}


def evaluate(models: Sequence[Path], data: Sequence[str], options: EvaluationOptions) -> Evaluation:
    """Score a recognizer on manifests, each apart and all together; see `asr.evaluation.base.Evaluate`.

    Without a head all heads are scored, unless a beam search is configured, which is made for one head.
    """
    kind = read_config(models[0])["task"]["type"]
    options.reject(kind, "html")
    model = single_model(models, kind)
    cuts, groups = read_cuts(data, options.by_speaker)
    recognizer = Recognizer.load(model, device=options.device, head=options.head, decoder=options.decoder)
    decoders = {recognizer.head: recognizer.decoder}
    if options.head is None and not isinstance(recognizer.decoder, BeamDecoder):
        decoders = greedy_decoders(recognizer.task) | decoders
    return evaluate_recognizer(recognizer, decoders, cuts, groups, options)
