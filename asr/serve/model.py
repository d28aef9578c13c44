"""The model of a server: one network, and its searches with the hot words of each request."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import InputError
from asr.inference.decoders.factory import make_aligner, make_decoder
from asr.inference.decoders.hotwords import HOTWORD_BONUS, HotWordsError, parse_hotwords
from asr.inference.recognizer import Recognizer
from asr.models import decoder_files, directory, pretrained

MAX_HOTWORDS = 500
MAX_ENTRY_WORDS = 3
MAX_ENTRY_CHARACTERS = 100
MAX_BONUS = 20.0
KEPT_SEARCHES = 4  # with other hot words than the model's own
# What clients that were written for OpenAI's service call its models.
FOREIGN_NAMES = re.compile(r"whisper|transcribe", re.IGNORECASE)


class ServedModel:
    """A recognizer that is loaded once for all requests.

    Args:
        model: as in `Recognizer.load`.
        device: as in `Recognizer.load`.
        head: as in `Recognizer.load`.
        decoder: as in `Recognizer.load`.
        plain: as in `Recognizer.load`.
        digits: as in `Recognizer.load`.

    Raises:
        InputError: what `Recognizer.load` raises, or a model of precomputed features.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "cpu",
        head: str | None = None,
        decoder: Mapping[str, Any] | None = None,
        plain: bool = False,
        digits: bool = False,
    ) -> None:
        found = directory.find(model)
        runner = directory.system_of(directory.read_config(found)).load("runner")
        recognizer_class = runner if issubclass(runner, Recognizer) else Recognizer  # which refuses the model
        self.recognizer: Recognizer = recognizer_class.load(
            model, device=device, head=head, decoder=decoder, plain=plain, digits=digits
        )
        if self.recognizer.sample_rate is None:
            raise InputError(f"{model}: reads feature files; asr serve needs a model that reads audio")
        self.name = str(model) if str(model) in pretrained.names() else found.resolve().name
        self._directory, self._decoder = found, dict(decoder or {})
        self._searches: OrderedDict[tuple[tuple[str, float], ...], Recognizer] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of what the network reads."""
        assert self.recognizer.sample_rate is not None
        return self.recognizer.sample_rate

    def has_name(self, name: str) -> bool:
        """Return whether a client may mean this model: by its name, or one of OpenAI's."""
        return name in ("", self.name) or FOREIGN_NAMES.search(name) is not None

    def warm_up(self) -> None:
        """Compile the search, and have the network allocate its memory: the first request is as fast as others."""
        rng = np.random.default_rng(0)
        self.recognizer.transcribe((0.01 * rng.standard_normal(self.sample_rate)).astype(np.float32))

    def with_hotwords(self, prompt: str) -> Recognizer:
        """Return the recognizer that favors the words of a prompt beside its own hot words.

        Args:
            prompt: words and phrases, see `words_of_prompt`.

        Raises:
            InputError: what `words_of_prompt` raises.
        """
        words = words_of_prompt(prompt)
        if not words or self.recognizer.decoder.vocabulary.kind == "sentencepiece":
            return self.recognizer
        key = tuple(sorted(words.items()))
        with self._lock:
            if key not in self._searches:
                try:
                    self._searches[key] = self._favoring(words)
                except HotWordsError:  # a prompt in another language, say
                    return self.recognizer
                if len(self._searches) > KEPT_SEARCHES:
                    self._searches.popitem(last=False)
            self._searches.move_to_end(key)
            return self._searches[key]

    def _favoring(self, words: Mapping[str, float]) -> Recognizer:
        """Return a recognizer with further hot words."""
        from asr.inference.decoders.beam import BeamDecoder  # imports Numba

        task, head = self.recognizer.task, self.recognizer.head
        own = decoder_files.decoder_config(self._directory, self._decoder, head)[1].get("hotwords")
        hotwords, decoder = {**parse_hotwords(own), **words}, self.recognizer.decoder
        if isinstance(decoder, BeamDecoder):
            decoder = decoder.with_hotwords(hotwords)
        else:  # a greedy one
            given = {**self._decoder, "hotwords": hotwords}
            options = decoder_files.decoder_config(self._directory, given, head)[1]
            decoder = make_decoder(task.vocabularies[head], options, task.transducer)
        return Recognizer(task, head=head, decoder=decoder, writer=self.recognizer.writer)

    def aligner(self, text: str) -> Recognizer:
        """Return the recognizer that finds the times of the words of a text.

        Raises:
            InputError: a text of which the model cannot write any word.
        """
        task = self.recognizer.task
        head = task.alignment_head
        decoder = make_aligner(task.vocabularies[head], text, network=task.transducer)
        return Recognizer(task, head=head, decoder=decoder)


def words_of_prompt(prompt: str) -> dict[str, float]:
    """Return the hot words of a prompt, with what each adds to the score (natural log).

    Entries are words, or phrases of two or three words, separated by commas, semicolons, line ends and the ends of
    sentences; ``word=2`` gives the score. Longer ones are left out: prompts for OpenAI's service often are sentences.

    Raises:
        InputError: too many entries, or a score that is no number within ±20.
    """
    words: dict[str, float] = {}
    for entry in re.split(r"[,;\n]|[.?!…:](?=\s|$)", prompt):
        phrase, equals, _ = entry.rpartition("=") if "=" in entry else (entry, "", "")
        phrase = " ".join(phrase.split())
        if not 0 < len(phrase.split()) <= MAX_ENTRY_WORDS or len(phrase) > MAX_ENTRY_CHARACTERS:
            continue
        score = HOTWORD_BONUS
        if equals:
            (score,) = parse_hotwords([entry], "prompt").values()
        if abs(score) > MAX_BONUS:
            raise InputError(f"prompt: {entry.strip()}: use a score from -{MAX_BONUS:g} to {MAX_BONUS:g}")
        words[phrase] = max(score, words.get(phrase, 0.0), key=abs)
    if len(words) > MAX_HOTWORDS:
        raise InputError(f"prompt: {len(words)} hot words; use at most {MAX_HOTWORDS}")
    return words
