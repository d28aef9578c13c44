"""The language models, lexicon and hot words of a `asr.Decoder`, over the labels of any network."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from asr.decoding.ctc import lexicon_trie, pieces
from asr.decoding.ctc.beam import CTCBeamSearch
from asr.decoding.ctc.fusion import Graph, LabelModel, WordModel, make_graph
from asr.decoding.ctc.lexicon_trie import NONE, LexiconTrie
from asr.decoding.ctc.model_scores import state_after
from asr.errors import InputError
from asr.inference.decoders.models import SPACE, log_uncovered, log_unusable, plain_characters, words_of_model
from asr.lm import files
from asr.lm.compact import CompactNGram
from asr.lm.mix import mix
from asr.lm.ngram import NGram, step
from asr.text.alphabet import Alphabet
from asr.text.lexicon import read_lexicon
from asr.utils.options import is_number
from asr.utils.text_files import read_text

WordLM: TypeAlias = "str | Path | NGram | CompactNGram"
WordLMs: TypeAlias = "WordLM | Sequence[WordLM] | Mapping[str, float]"
WordList: TypeAlias = "str | Path | Iterable[str] | Mapping[str, Sequence[Sequence[str] | str] | str]"


@dataclass(frozen=True)
class Fusion:
    """The models of a search, made for one set of hot words.

    Attributes:
        graph: the models.
        words: the words of the models, if any.
        idle: searches with these models that no thread uses.
    """

    graph: Graph
    words: WordModel | None = None
    idle: list[CTCBeamSearch] = field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        """The words, by their numbers."""
        return self.words.words if self.words else ()

    def after(self, text: str, alphabet: Alphabet, is_end: bool) -> Graph:
        """Return the models for an utterance that goes on after a text, and that ends, or goes on itself."""
        graph = self.graph
        if not is_end:
            graph = graph._replace(word_lm_end=NONE, label_lm_end=NONE)
        words = text.split()
        if self.words:
            state = graph.word_start
            for word in words:
                state = int(state_after(graph, state, self.words.number.get(word, len(self.names))))
            graph = graph._replace(word_start=state)
        if graph.has_label_lm and words:
            label_of = {text: label for label, text in alphabet.texts.items()}
            units = words if alphabet.kind == "tokens" else [c for word in words for c in (*word, " ")]
            state = graph.label_lm_start
            for unit in units:
                label = alphabet.space if unit == " " else label_of.get(unit)
                if label is not None:
                    state, _ = step(graph.label_lm, state, graph.label_lm_id[label])
            graph = graph._replace(label_lm_start=int(state))
        return graph


class FusionSource:
    """Reads the models of a decoder, and combines them with sets of hot words.

    Args:
        alphabet: the labels.
        lm: n-gram model of words: a file, a model, several of them, or a mapping of files to weights; mixed linearly.
        lm_weight: factor of a word's natural-log probability.
        word_bonus: added to the score for each word.
        unknown_words: score (natural log) of a word that is in neither ``lm`` nor ``lexicon``; None: impossible.
        lexicon: words, or pronunciations for labels that are tokens: a file or what it would hold.
        character_lm: n-gram model of labels; the space is |.
        character_weight: factor of a label's natural-log probability.
        character_bonus: added to the score for each label.

    Raises:
        InputError: a file that cannot be read, or models that do not fit the labels.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        *,
        lm: WordLMs | None,
        lm_weight: float,
        word_bonus: float,
        unknown_words: float | None,
        lexicon: WordList | None,
        character_lm: str | Path | NGram | None,
        character_weight: float,
        character_bonus: float,
    ) -> None:
        self.alphabet = alphabet
        self._ngram = read_models(lm) if lm is not None else None
        self._weights = lm_weight, word_bonus
        self._unknown = unknown_words if alphabet.kind != "tokens" else None
        self._labels = None
        if character_lm is not None:
            self._labels = label_model(alphabet, character_lm, character_weight, character_bonus)
        self._base: WordModel | None = None
        self._lexicon: Mapping[str, Sequence[tuple[int, ...]]] | Sequence[str] = ()
        if lexicon is not None or lm is not None:
            self._check_words()
            self._lexicon = self._read_lexicon(lexicon)
            self._base = self._word_model(self._lexicon)
            if lexicon is not None and self._unknown is not None:
                self._base = self._with_unlisted(self._base, self._unknown)

    def combine(self, hotwords: Mapping[str, float]) -> Fusion:
        """Return the models with hot words or phrases, and what each of them adds to the score.

        Raises:
            InputError: none of the hot words can be written with the labels.
        """
        words = self._base
        if hotwords:
            self._check_words()
            if words is None and self.alphabet.kind == "tokens":
                words = self._word_model(self._read_lexicon(None))
            known = words.number if words else {}
            phrases = self._spell(hotwords, known)
            if missing := [w for w in dict.fromkeys(w for phrase in phrases for w in phrase) if w not in known]:
                if words is None:  # hot words alone: all other words are possible, too
                    words = replace(self._word_model(missing, log=False), unknown=0.0, bonus=0.0)
                else:
                    words = words.plus(*self._lexicon_of(missing, log=False, required=False))
            single = {phrase[0]: bonus for phrase, bonus in phrases.items() if len(phrase) == 1}
            several = {phrase: bonus for phrase, bonus in phrases.items() if len(phrase) > 1}
            assert words is not None
            single = {word: bonus + words.hotwords.get(word, 0.0) for word, bonus in single.items()}
            words = words.favor({**words.hotwords, **single}, several)
        return Fusion(make_graph(len(self.alphabet.labels), words, self._labels), words)

    def _with_unlisted(self, words: WordModel, unknown: float) -> WordModel:
        """Add the words of the language model that the lexicon lacks: unknown words of which the model knows more."""
        if not (unlisted := list(dict.fromkeys(words_of_model(self._ngram)).keys() - set(words.words))):
            return words
        both = self._word_model([*words.words, *sorted(unlisted)], log=False)
        known = set(words.words)
        return replace(both, hotwords={word: unknown for word in both.words if word not in known})

    def _check_words(self) -> None:
        if self.alphabet.kind == "characters" and self.alphabet.space is None:
            raise InputError(
                "words (lm, lexicon, hotwords) need a label between them, and none of the labels is a space: name it "
                "with space=…"
            )

    def _read_lexicon(self, lexicon: WordList | None) -> Mapping[str, Sequence[tuple[int, ...]]] | Sequence[str]:
        """Return the words of the search; of tokens with their pronunciations as labels."""
        if self.alphabet.kind != "tokens":
            return words_of_model(self._ngram) if lexicon is None else read_words(lexicon)
        label_of = {text: label for label, text in self.alphabet.texts.items()}
        if lexicon is None:  # each label is a word
            return {name: [(label,)] for name, label in label_of.items()}
        if isinstance(lexicon, (str, Path)):
            pronunciations: Mapping[str, Sequence[Sequence[str] | str] | str] = read_lexicon(lexicon)
        elif isinstance(lexicon, Mapping):
            pronunciations = lexicon
        else:
            raise InputError(
                "lexicon: these labels are tokens, as phones are: give a pronunciation dictionary, or a mapping of "
                'words to pronunciations, {"word": ["p r o n"]}'
            )
        found: dict[str, list[tuple[int, ...]]] = {}
        wanted = words_of_model(self._ngram) or pronunciations
        for word in wanted:
            given = pronunciations.get(word) or pronunciations.get(word.lower()) or ()
            variants = [v.split() if isinstance(v, str) else v for v in ([given] if isinstance(given, str) else given)]
            found[word] = [tuple(label_of[unit] for unit in v) for v in variants if v and set(v) <= label_of.keys()]
        return found

    def _word_model(
        self, words: Mapping[str, Sequence[tuple[int, ...]]] | Sequence[str], log: bool = True
    ) -> WordModel:
        """Build the model of words; log those that cannot be spelled."""
        names, trie = self._lexicon_of(words, log)
        unknown = None if isinstance(words, Mapping) else self._unknown
        return WordModel(trie, names, self._ngram, *self._weights, unknown)

    def _lexicon_of(
        self, words: Mapping[str, Sequence[tuple[int, ...]]] | Sequence[str], log: bool, required: bool = True
    ) -> tuple[Sequence[str], LexiconTrie]:
        """Return the words that can be spelled, and their lexicon; log the others. InputError if ``required`` lack."""
        if isinstance(words, Mapping):
            names = [word for word, variants in words.items() if variants]
            missing = [word for word, variants in words.items() if not variants]
            entries = [(number, labels) for number, word in enumerate(names) for labels in words[word]]
            if log or not names:
                log_uncovered("words", len(words), missing)
            return names, lexicon_trie.build(entries)
        if not words:
            raise InputError("a language model or lexicon of words has no word")
        spelled = [word if word.isascii() else "".join(plain_characters(word, self.alphabet.units)) for word in words]
        number_of: dict[str, int] = {}  # of words that are spelled alike the one that is spelled as it is
        for number, spelling in enumerate(spelled):
            if self.alphabet.can_spell(spelling) and (spelling not in number_of or spelling == words[number]):
                number_of[spelling] = number
        usable = list(number_of.values())
        size, space = len(self.alphabet.labels), self.alphabet.space
        trie, bad = pieces.build(list(number_of), self.alphabet.texts, size, space) if usable else (None, [])
        # those that the trie lacks keep their numbers, and never occur
        possible = number_of.keys() - {spelled[usable[place]] for place in bad}
        if log or (required and not possible):
            missing = [word for word, spelling in zip(words, spelled, strict=True) if spelling not in possible]
            log_uncovered("words", len(words), missing)
        assert trie is not None
        return [words[n] for n in usable], trie

    def _spell(self, hotwords: Mapping[str, float], known: Mapping[str, int]) -> dict[tuple[str, ...], float]:
        """Return hot words as tuples of words that can be written, in the case in which they can be."""

        def usable(word: str) -> bool:
            return word in known or (self.alphabet.kind != "tokens" and self.alphabet.can_spell(word))

        phrases: dict[tuple[str, ...], float] = {}
        missing: list[str] = []
        for phrase, bonus in hotwords.items():
            given = unicodedata.normalize("NFC", phrase)
            candidates = [tuple(change(given).split()) for change in (str, str.lower, str.upper)]
            candidates.sort(
                key=lambda words: not all(word in known for word in words)
            )  # as the language model has them
            spelled = next((words for words in candidates if words and all(map(usable, words))), None)
            if spelled is None:
                missing.append(phrase)
            else:
                phrases[spelled] = bonus
        if missing:
            log_unusable(missing, "the labels cannot write them", fatal=not phrases)
        return phrases


def read_models(lm: WordLMs) -> NGram | CompactNGram:
    """Read a language model, or several that are mixed.

    Raises:
        InputError: a file that cannot be read, or weights that are not above 0.
    """
    if isinstance(lm, (str, Path)):
        return files.read(lm)
    if isinstance(lm, (NGram, CompactNGram)):
        return lm
    if not isinstance(lm, (Mapping, list, tuple)):
        raise InputError(f"lm={lm!r}: use a file, a list of files, or a mapping of files to weights")
    for one in lm:
        if not isinstance(one, (str, Path, NGram, CompactNGram)):
            raise InputError(f"lm: {one!r} is no file")
    weights = list(lm.values()) if isinstance(lm, Mapping) else [1.0] * len(lm)
    if strange := [weight for weight in weights if not is_number(weight)]:
        raise InputError(f"lm: {strange[0]!r} is no weight; use a number above 0")
    models = [one if isinstance(one, (NGram, CompactNGram)) else files.read(one) for one in lm]
    if not models:
        raise InputError("lm: no language model is given")
    return models[0] if len(models) == 1 else mix([model.expand() for model in models], weights)


def read_words(lexicon: WordList) -> list[str]:
    """Return the words of a list: a file with a word at the beginning of each line, or the words.

    Raises:
        InputError: a file that cannot be read, or what is no word.
    """
    if isinstance(lexicon, (str, Path)):
        rows = [line.split() for line in read_text(lexicon).splitlines()]
        words: list[str] = [row[0] for row in rows if row]
    elif isinstance(lexicon, Iterable):
        words = list(lexicon)
    else:
        raise InputError(f"lexicon={lexicon!r}: use a file, a list of words, or a mapping of words to pronunciations")
    for word in words:
        if not isinstance(word, str) or word.split() != [word]:
            raise InputError(f"lexicon: {word!r} is not a word")
    if not words:
        raise InputError("lexicon: there is no word in it")
    return list(dict.fromkeys(words))


def label_model(alphabet: Alphabet, ngram: str | Path | NGram, weight: float, bonus: float) -> LabelModel:
    """Build the model of labels. Raises InputError where it and the labels have nothing in common."""
    model = ngram if isinstance(ngram, NGram) else files.read(ngram).expand()
    names: list[str | None] = [alphabet.texts.get(label) for label in range(len(alphabet.labels))]
    if alphabet.space is not None:
        names[alphabet.space] = SPACE
    required = [name for name in names if name is not None]
    log_uncovered("labels", len(required), [name for name in required if name not in model.index])
    return LabelModel(model, names, weight, bonus)
