"""Models of other people in the format of `transformers`: ``hf:PATH_OR_NAME`` as a model directory of ours."""

from __future__ import annotations

import atexit
import logging
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from asr.errors import InputError
from asr.text.alphabet import Alphabet
from asr.text.normalization import TextNormalizer
from asr.text.vocabulary import BLANK, Vocabulary
from asr.utils.torchaudio import import_torchaudio

log = logging.getLogger(__name__)
PREFIX = "hf:"
HEAD = "text"
MISSING = "the extra hub is not installed (pip install 'asr-recurrent[hub]')"
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")  # of a model on the hub: OWNER/MODEL


@lru_cache
def model_directory(model: str) -> Path:
    """Return a model directory that stands for a CTC model of `transformers`, until the process ends.

    Args:
        model: ``hf:FOLDER``, or ``hf:NAME`` of a model on the Hugging Face hub, which is asked only if no folder has
            the name; with ``@LANGUAGE`` behind it for one with adapters for languages, as MMS.

    Raises:
        InputError: `transformers` is not installed, the model cannot be found or reached, it is no CTC model, or its
            labels are not characters or phones.
    """
    source, _, language = model.removeprefix(PREFIX).partition("@")
    options: dict[str, Any] = {"local_files_only": True} if Path(source).is_dir() else {}
    if not source or (not options and not _NAME.fullmatch(source)):
        raise InputError(f"{model}: no such folder, and not a name of the hub (OWNER/MODEL)")
    if not options:
        log.info("%s: no folder has this name; the Hugging Face hub is asked", model)
    if language:
        options["target_lang"] = language
    alphabet = read_alphabet(model, source, options)
    vocabulary = make_vocabulary(model, alphabet)
    directory = Path(tempfile.mkdtemp(prefix="asr-hub-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    vocabulary.save(directory / "vocabulary.txt")
    hub: dict[str, Any] = {"model": model, "source": source, "options": options, "labels": list(alphabet.labels)}
    hub |= {"blank": alphabet.blank, "space": alphabet.space}
    config = {"task": {"type": "ctc", "heads": {HEAD: {}}}, "features": {"type": "hub"}, "encoder": {"type": "hub"}}
    (directory / "config.yaml").write_text(yaml.safe_dump({**config, "hub": hub}, allow_unicode=True), encoding="utf-8")
    return directory


def read_alphabet(model: str, source: str, options: dict[str, Any]) -> Alphabet:
    """Return the labels of a model's tokenizer. Raises InputError as `model_directory`."""
    transformers = load_transformers(model)
    config = call(model, transformers.AutoConfig.from_pretrained, source, **_without_language(options))
    tokenizer = call(model, transformers.AutoTokenizer.from_pretrained, source, **options)
    if not any(name.endswith("ForCTC") for name in config.architectures or ["ForCTC"]):
        raise InputError(f"{model}: a {', '.join(config.architectures)}; a CTC model is needed")
    labels = tokenizer.get_vocab()
    if labels and not isinstance(next(iter(labels.values())), int):
        raise InputError(f"{model}: has labels of several languages: choose one, {model}@{next(iter(labels))}")
    if "target_lang" not in options:  # tokenizers can have more labels than networks
        labels = {name: label for name, label in labels.items() if label < config.vocab_size}
    blank = config.pad_token_id if config.pad_token_id is not None else tokenizer.pad_token_id
    space = getattr(tokenizer, "word_delimiter_token", None)
    return Alphabet.of(labels, blank, space if space in labels else None)


def make_vocabulary(model: str, alphabet: Alphabet) -> Vocabulary:
    """Return the vocabulary of the labels that are written, after blank, in their order."""
    spaces = {} if alphabet.space is None else {alphabet.space: " "}
    units = [text for _, text in sorted({**alphabet.texts, **spaces}.items())]
    tokens = (BLANK, *units)
    letters = "".join(units)
    case = "lower" if letters == letters.lower() else "upper" if letters == letters.upper() else "keep"
    if alphabet.kind == "tokens":
        return Vocabulary("phones", tokens)
    if alphabet.kind == "characters" and all(len(unit) == 1 for unit in units):
        return Vocabulary("characters", tokens, TextNormalizer(case=case))  # type: ignore[arg-type]  # one of three
    raise InputError(
        f"{model}: its labels are pieces of words; asr.Decoder decodes the scores of such a model (docs/decoding.md)"
    )


def written_columns(alphabet: Alphabet) -> list[int]:
    """Return the labels of `make_vocabulary`'s tokens, in their order."""
    spaces = [] if alphabet.space is None else [alphabet.space]
    return [alphabet.blank, *sorted([*alphabet.texts, *spaces])]


def load_transformers(model: str) -> Any:
    """Import `transformers`. Raises InputError where it is not installed."""
    try:
        import_torchaudio()  # which transformers imports itself, and which may not load without this
        import transformers
    except ImportError as error:
        raise InputError(f"{model}: {MISSING}") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # of a connection, the error says what is wrong
    return transformers


def call(model: str, function: Callable[..., Any], source: str, **options: Any) -> Any:
    """Call a ``from_pretrained``; InputError for what it raises: it says what is missing, or that there is no net."""
    try:
        return function(source, **options)
    except Exception as error:  # its errors have no common base, and come from several packages
        reason = " ".join(str(error).split())[:300]
        where = (
            "cannot be read"
            if options.get("local_files_only")
            else "no folder of this name is here, and the hub cannot give it (without a connection: `hf download` it "
            "elsewhere, and give the folder)"
        )
        raise InputError(f"{model}: {where}: {reason}") from error


def _without_language(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "target_lang"}
