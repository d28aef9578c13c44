"""Build decoders from a configuration; the only module of the decoders that opens files."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.decoding.ctc.options import OPTION_ALIASES, CTCBeamOptions
from asr.errors import InputError
from asr.inference.decoders.base import HeadDecoder, check_lexicon
from asr.inference.decoders.greedy import GreedyDecoder
from asr.inference.decoders.hotwords import HotWords, parse_hotwords
from asr.models import directory, store
from asr.registry import build
from asr.text import lexicon as lexicon_
from asr.text.lexicon import Lexicon, read_lexicon
from asr.text.vocabulary import SPECIALS, Vocabulary
from asr.utils.aliases import rename_keys
from asr.utils.options import is_whole

if TYPE_CHECKING:
    from asr.decoding.ctc.neural_lm import NeuralModel
    from asr.inference.decoders.aligner import Aligner
    from asr.inference.decoders.beam import BeamDecoder
    from asr.inference.decoders.rescoring import Rescoring
    from asr.modules.transducer_head import TransducerHead

log = logging.getLogger(__name__)


def greedy_decoder(
    vocabulary: Vocabulary, network: TransducerHead | None = None, *, calibration: Sequence[float] | None = None
) -> HeadDecoder:
    """Build a greedy search.

    Args:
        vocabulary: of the head that is decoded.
        network: of a transducer; None: the search is that of CTC.
        calibration: see `asr.inference.decoders.base.BaseDecoder`.
    """
    if network is None:
        return GreedyDecoder(vocabulary, calibration=calibration)
    from asr.inference.decoders.transducer import TransducerGreedyDecoder  # imports Numba

    return TransducerGreedyDecoder(vocabulary, network, calibration=calibration)


def beam_decoder(
    vocabulary: Vocabulary,
    network: TransducerHead | None = None,
    *,
    beam: int = 100,
    nbest: int = 1,
    max_labels: int | None = None,
    min_label_prob: float = 0.0,
    beam_threshold: float | None = None,
    lm: str | Path | None = None,
    lm_weight: float = 0.7,
    word_bonus: float = 0.0,
    unknown_words: float | None = None,
    lexicon: str | Path | None = None,
    pronouncer: str | Path | None = None,
    character_lm: str | Path | None = None,
    character_weight: float = 0.4,
    character_bonus: float = 0.0,
    neural_lm: str | Path | None = None,
    neural_weight: float = 0.4,
    neural_bonus: float = 0.0,
    rescoring_lm: str | Path | None = None,
    rescoring_weight: float = 0.5,
    rescoring_nbest: int = 20,
    hotwords: HotWords | None = None,
    calibration: Sequence[float] | None = None,
    min_confidence: float = 0.1,
) -> BeamDecoder:
    """Build a beam search (`asr.decoding.ctc.beam`, `asr.decoding.transducer.beam`) and read the models that it uses.

    Args:
        vocabulary: of the head that is decoded.
        network: of a transducer; None: the search is that of CTC.
        beam: number of prefixes kept after each frame.
        nbest: number of hypotheses returned.
        max_labels: number of the most probable labels of a frame that may extend a prefix; None: all.
        min_label_prob: probability below which a label does not extend a prefix.
        beam_threshold: prefixes whose score is this much (natural log) below the best one's are dropped; None: none.
        lm: n-gram model of words, an ARPA file or a binary one (`asr.lm.files`). A head of characters spells them; one
            of phones needs ``lexicon`` or ``pronouncer``.
        lm_weight: factor of the natural-log probability that ``lm`` gives a word.
        word_bonus: added to the score for each word.
        unknown_words: score (natural log) of a word that ``lm`` does not have, added to that of its <unk>; None: such
            words are impossible (as they always are for phones).
        lexicon: pronunciation dictionary (CMUdict or Kaldi), for phones; words of ``lm`` that it lacks are left out.
        pronouncer: directory of a seq2seq model (`asr.tasks.seq2seq`) that pronounces words that ``lexicon`` lacks.
        character_lm: file of an n-gram model of the head's characters (the space is |) or phones.
        character_weight: factor of the natural-log probability that ``character_lm`` gives a label.
        character_bonus: added to the score for each label.
        neural_lm: directory of a language model (`asr.tasks.language`) of the head's characters. It scores each new
            prefix, which takes far longer than the other models do.
        neural_weight: factor of the natural-log probability that ``neural_lm`` gives a label.
        neural_bonus: added to the score for each label.
        rescoring_lm: directory of a language model (`asr.tasks.language`) for a second pass over the best texts of each
            segment between pauses. It needs ``lm``.
        rescoring_weight: share that it takes of ``lm``'s part in the score, from 0 to 1.
        rescoring_nbest: number of texts that it scores.
        hotwords: words or phrases to favor, with what each adds to the score (natural log): a mapping, a list, or a
            string such as ``"adam, new york=3"``, see `asr.inference.decoders.hotwords.parse_hotwords`. They are
            normalized as texts are.
        calibration: see `asr.inference.decoders.base.BaseDecoder`.
        min_confidence: words between two pauses whose mean confidence is below this are left out, as noise, music and
            other languages have them; 0: none are. Without effect unless the calibration has a factor for certainty.

    Raises:
        InputError: a file that cannot be read, options that make no sense, or models that do not fit the vocabulary.
    """
    # these import Numba, which takes seconds
    from asr.inference.decoders import models
    from asr.inference.decoders.beam import BeamDecoder, FusionModels
    from asr.lm import files

    options = CTCBeamOptions(beam, nbest, max_labels, min_label_prob, beam_threshold)
    weights = {"lm_weight": lm_weight, "word_bonus": word_bonus, "unknown_words": unknown_words}
    weights |= {"character_weight": character_weight, "character_bonus": character_bonus}
    weights |= {"neural_weight": neural_weight, "neural_bonus": neural_bonus, "rescoring_weight": rescoring_weight}
    for name, weight in weights.items():
        if weight is not None and not math.isfinite(weight):
            raise InputError(f"decoder.{name}={weight}: use a finite number")
    favored = parse_hotwords(hotwords)
    if not 0 <= min_confidence <= 1:
        raise InputError(f"decoder.min_confidence={min_confidence}: use a probability from 0 to 1")
    labels = neural = None
    if pronouncer is not None and lm is None and lexicon is None and not favored:
        raise InputError("a pronouncer needs words to pronounce: give lm, lexicon or hotwords as well")
    ngram = files.read(lm) if lm is not None else None
    pronunciations = pronounce = None
    if lexicon is not None or pronouncer is not None:
        check_lexicon(vocabulary, given=True)
        pronunciations = lexicon_for(models.words_of_model(ngram), lexicon, pronouncer)
    if pronouncer is not None:
        pronounce = partial(lexicon_for, dictionary=None, model=pronouncer)
    source = models.WordSource(
        vocabulary, ngram, pronunciations, pronounce, weight=lm_weight, bonus=word_bonus, unknown=unknown_words
    )
    words = source.favor(favored) if favored else source.base
    if character_lm is not None:
        labels = models.label_model(vocabulary, files.read(character_lm).expand(), character_weight, character_bonus)
    if neural_lm is not None:
        if network is not None:
            raise InputError("decoder.neural_lm: not for a transducer; use lm or character_lm")
        neural = neural_model(vocabulary, neural_lm, neural_weight, neural_bonus)
    rescoring = None
    if rescoring_lm is not None:
        if words is None or words.ngram is None:
            raise InputError("decoder.rescoring_lm takes a share of the n-gram model's score: give lm as well")
        rescoring = rescoring_model(rescoring_lm, rescoring_weight, rescoring_nbest)
    fused = FusionModels(words, labels, neural, rescoring)
    if network is None:
        return BeamDecoder(
            vocabulary, options, fused, calibration=calibration, min_confidence=min_confidence, source=source
        )
    from asr.inference.decoders.transducer import TransducerBeamDecoder

    return TransducerBeamDecoder(vocabulary, network, options, fused, calibration=calibration, source=source)


# decoders by the ``type`` of their configuration; their keyword arguments are the options
DECODERS: dict[str, Callable[..., HeadDecoder]] = {"greedy": greedy_decoder, "beam": beam_decoder}


def make_decoder(
    vocabulary: Vocabulary, config: Mapping[str, Any], network: TransducerHead | None = None
) -> HeadDecoder:
    """Build the decoder of one head from a configuration (group ``decoder``).

    Args:
        vocabulary: of the head that is decoded.
        config: ``type`` (a key of `DECODERS`) and the options of that decoder. Without ``type`` decoding is greedy,
            unless there are options that only the beam search has.
        network: of a transducer (`asr.tasks.recognition.RecognitionTask.transducer`); None for CTC.

    Raises:
        InputError: an unknown type, an option that the decoder does not have, or what the decoder itself refuses.
    """
    config = rename_keys(config, OPTION_ALIASES)
    if "type" not in config:
        config = {"type": implied_type(config), **config}
    decoder: HeadDecoder = build(DECODERS, config, "decoder", vocabulary=vocabulary, network=network)
    return decoder


def implied_type(options: Iterable[str]) -> str:
    """Return the type of decoder that options without a ``type`` imply: greedy where it has them all, or else beam."""
    greedy = inspect.signature(greedy_decoder).parameters
    if beam := [option for option in options if option not in greedy]:
        log.info("decoding with a beam search, implied by %s", ", ".join(map(str, beam)))
        return "beam"
    return "greedy"


def make_aligner(
    vocabulary: Vocabulary,
    text: str,
    lexicon: str | Path | Lexicon | None = None,
    pronouncer: str | Path | None = None,
    network: TransducerHead | None = None,
) -> Aligner:
    """Build the decoder that aligns a text.

    Args:
        vocabulary: of the head that aligns.
        text: the text that is spoken.
        lexicon: pronunciation dictionary (CMUdict or Kaldi), or what was read from one, for a head of phones.
        pronouncer: directory of a seq2seq model that pronounces words that ``lexicon`` lacks.
        network: of a transducer; None for CTC.

    Raises:
        InputError: what `Aligner` refuses, or a file that cannot be read.
    """
    from asr.inference.decoders.aligner import Aligner  # imports Numba

    given = lexicon is not None or pronouncer is not None
    check_lexicon(vocabulary, given)
    pronunciations = lexicon_for(lexicon_.words(text), lexicon, pronouncer) if given else None
    if network is None:
        return Aligner(vocabulary, text, pronunciations)
    from asr.inference.decoders.transducer import TransducerAligner

    return TransducerAligner(vocabulary, text, network, pronunciations)


def neural_model(vocabulary: Vocabulary, model: str | Path, weight: float, bonus: float) -> NeuralModel:
    """Load a neural language model for a search over the labels of ``vocabulary``; log labels that it lacks.

    Raises:
        InputError: the directory does not hold a language model, or it has none of the labels.
    """
    from asr.decoding.ctc.neural_lm import NeuralModel
    from asr.inference.decoders.models import log_uncovered
    from asr.tasks.language import LanguageScorer, LanguageTask

    task = store.load(directory.find(model), LanguageTask)
    scorer = LanguageScorer(task, vocabulary.tokens)
    required = [token for token in vocabulary.tokens if token not in SPECIALS]
    log_uncovered("labels", len(required), [token for token in required if token not in task.vocabulary.tokens])
    return NeuralModel(scorer, scorer.end, scorer.end, weight, bonus)


def rescoring_model(model: str | Path, weight: float, nbest: int) -> Rescoring:
    """Load a language model for a second pass.

    Raises:
        InputError: the directory does not hold a language model, or a number is out of range.
    """
    from asr.inference.decoders.rescoring import Rescoring
    from asr.tasks.language import LanguageTask

    if not 0 <= weight <= 1:
        raise InputError(f"decoder.rescoring_weight={weight}: use a number from 0 to 1")
    if not (is_whole(nbest) and nbest >= 1):
        raise InputError(f"decoder.rescoring_nbest={nbest!r}: use a whole number of at least 1")
    return Rescoring(store.load(directory.find(model), LanguageTask), weight, nbest)


def lexicon_for(
    words: Iterable[str],
    dictionary: str | Path | Lexicon | None,
    model: str | Path | None = None,
    keep_stress: bool = False,
) -> Lexicon:
    """Read a pronunciation dictionary, and add those of ``words`` that it lacks with a seq2seq model.

    Args:
        words: the words that are needed.
        dictionary: file of the dictionary, or what was read from one; None: there is none.
        model: directory of the seq2seq model; None: words that the dictionary lacks are left out.
        keep_stress: keep the stress digits of CMUdict's phones.

    Raises:
        InputError: a file that is no dictionary, or a model of another kind.
    """
    lexicon: Lexicon
    if isinstance(dictionary, Mapping):
        lexicon = dictionary
    else:
        lexicon = read_lexicon(dictionary, keep_stress) if dictionary is not None else {}
    if model is not None and (missing := [word for word in dict.fromkeys(words) if word not in lexicon]):
        from asr.inference.pronouncer import Pronouncer

        log.info("%d words that the dictionary lacks are pronounced by %s", len(missing), model)
        lexicon = {**lexicon, **Pronouncer.load(model).pronunciations(missing, keep_stress)}
    return lexicon


def compile_lexicon(dictionary: str | Path, lm: str | Path, output: str | Path) -> tuple[int, int]:
    """Write the pronunciations of a language model's words as a file that a search reads at once.

    Args:
        dictionary: pronunciation dictionary (CMUdict or Kaldi).
        lm: n-gram model of words, see `asr.lm.files.read`.
        output: the file to write.

    Returns:
        Number of words of the model that the dictionary has, and of all its words.

    Raises:
        InputError: a file that cannot be read, or they have no word in common.
    """
    # these import Numba, which takes seconds
    from asr.inference.decoders import models
    from asr.lm import files

    lexicon, required = read_lexicon(dictionary), models.words_of_model(files.read(lm))
    words = tuple(word for word in required if word in lexicon)
    if not words:
        raise InputError(f"{dictionary} has none of the words of {lm}: do case and alphabet agree?")
    models.compiled(words, lexicon).write(output)
    return len(words), len(required)
