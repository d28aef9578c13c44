"""Decoder options of a model directory, and the language models and dictionaries that they name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.decoding.ctc.options import OPTION_ALIASES
from asr.errors import InputError
from asr.models.directory import CONFIG, dump_config, find, read_config
from asr.utils.aliases import rename_keys
from asr.utils.atomic import atomic_path, write_atomic

# decoder options that name a file or a model directory, and the name of its copy in a model directory (.gz is kept; a
# binary n-gram model is named .ngram)
DECODER_FILES = {
    "lm": "lm.arpa",
    "character_lm": "character_lm.arpa",
    "lexicon": "lexicon.txt",
    "pronouncer": "pronouncer",
    "neural_lm": "neural_lm",
    "rescoring_lm": "rescoring_lm",
}
NGRAMS = ("lm", "character_lm")  # those that name an n-gram model
MODELS = ("pronouncer", "neural_lm", "rescoring_lm")  # those that name a model directory


def copy_decoder_files(decoder: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Copy the files and model directories that a decoder's options name into a model directory.

    What lies there already stays, by its name.

    Returns:
        The options with the copies' names, relative to ``directory``.

    Raises:
        InputError: an option names a model directory that does not exist.
        OSError: an option names a file that cannot be read.
    """
    options = dict(decoder)
    for key, name in DECODER_FILES.items():
        if options.get(key) is not None:
            source = find(options[key]) if key in MODELS else Path(options[key])
            if source.parent.resolve() == directory.resolve():
                options[key] = source.name
                continue
            options[key] = name + (".gz" if source.suffix == ".gz" else "")
            if key in NGRAMS:
                from asr.lm.files import BINARY_SUFFIX, is_binary  # imports Numba

                if is_binary(source):
                    options[key] = str(Path(name).with_suffix(BINARY_SUFFIX))
            target = directory / options[key]
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
            else:
                with atomic_path(target) as temporary:
                    shutil.copyfile(source, temporary)
    return options


def set_decoder(directory: Path, decoder: Mapping[str, Any]) -> None:
    """Write decoder options to a model directory, and copy the files that they name.

    Raises:
        InputError, OSError: as `copy_decoder_files`.
    """
    if "hub" in (config := read_config(directory)):
        raise InputError(f"{config['hub']['model']}: a model of another toolkit keeps no settings; give them each time")
    config |= {"decoder": copy_decoder_files(decoder, directory)}
    write_atomic(directory / CONFIG, dump_config(config))


def decoder_config(
    directory: Path, given: Mapping[str, Any] | None = None, head: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the head to decode, and the options of `asr.inference.decoders.factory.make_decoder`.

    Options that are ``given`` replace the model directory's own ones. Those count only for the head that they were made
    for, not if ``type`` is given, and those of a greedy decoder not if anything is given. Without ``type`` in the
    result `make_decoder` chooses one by the options.

    Args:
        directory: a model directory.
        given: options by former or present name.
        head: the head to decode; None: the one of the directory's own options, or else the first.

    Raises:
        InputError: the directory's configuration cannot be read, an option is given by two names, or ``given`` is no
            mapping.
    """
    config = read_config(directory)
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"decoder={given!r}: expected a mapping of options, such as {{'type': 'beam', 'beam': 50}}")
    given = rename_keys(given or {}, OPTION_ALIASES)
    own = rename_keys(config.get("decoder") or {}, OPTION_ALIASES)
    own_head = own.pop("head", None) or next(iter(config["task"]["heads"]))
    head = own_head if head is None else head
    if "type" in given or head != own_head or (given and own.get("type") == "greedy"):
        own = {}
    own |= {key: str(directory / own[key]) for key in DECODER_FILES if own.get(key) is not None}
    return head, own | given
