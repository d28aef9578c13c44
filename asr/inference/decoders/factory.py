"""Build decoders from a configuration; the only module here that opens files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asr.decoding.ctc.neural_lm import NeuralModel
from asr.decoding.ctc.options import OPTION_ALIASES
from asr.inference.decoders.greedy import GreedyDecoder
from asr.inference.decoders.models import say_coverage
from asr.inference.pronouncer import load
from asr.models import directory, store
from asr.registry import build
from asr.text.lexicon import Lexicon, read_lexicon
from asr.text.vocabulary import SPECIALS, Vocabulary
from asr.utils.aliases import rename_keys

log = logging.getLogger(__name__)


def neural_model(vocabulary: Vocabulary, model: str | Path, weight: float, bonus: float) -> NeuralModel:
    """A network's model of a head's labels; those that it does not have are said."""
    from asr.tasks.language import LanguageScorer, LanguageTask

    task = store.load(directory.find(model), LanguageTask)
    scorer = LanguageScorer(task, vocabulary.tokens)
    wanted = [token for token in vocabulary.tokens if token not in SPECIALS]
    say_coverage("labels", len(wanted), [token for token in wanted if token not in task.vocabulary.tokens])
    return NeuralModel(scorer, scorer.end, scorer.end, weight, bonus)


def make_decoder(vocabulary: Vocabulary, config: Mapping[str, Any]) -> GreedyDecoder:
    """The decoder that a configuration (group ``decoder``) describes, for one head."""
    config = rename_keys(config, OPTION_ALIASES)
    decoders: dict[str, type[GreedyDecoder]] = {"greedy": GreedyDecoder}
    if config.get("type") == "beam":
        from asr.inference.decoders.beam import BeamDecoder

        decoders["beam"] = BeamDecoder
    return build(decoders, config, "decoder", vocabulary=vocabulary)


def lexicon_for(
    words: Iterable[str], dictionary: str | Path | None, model: str | Path | None = None, keep_stress: bool = False
) -> Lexicon:
    """The pronunciations of a dictionary's file, and by a model those of ``words`` that are not in it.

    Either may be missing. Raises InputError for a file that is no dictionary, and a model of another kind.
    """
    lexicon = read_lexicon(dictionary, keep_stress) if dictionary is not None else {}
    if model is not None and (missing := [word for word in dict.fromkeys(words) if word not in lexicon]):
        log.info("%d words that the dictionary does not have are pronounced by %s", len(missing), model)
        lexicon |= load(model).pronunciations(missing, keep_stress)
    return lexicon
