"""Former names of configuration keys, which files written by earlier versions still use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr.errors import InputError


def rename_keys(options: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Replace former keys by their present names, keeping the order of the options.

    Args:
        options: as read from a file or the command line.
        aliases: present name by former name.

    Raises:
        InputError: a former and the present name of the same option are both given.
    """
    for former, present in aliases.items():
        if former in options and present in options:
            raise InputError(f"{former} is the former name of {present}: give only {present}")
    return {aliases.get(key, key): value for key, value in options.items()}
