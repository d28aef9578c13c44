"""Checks of arguments."""

from __future__ import annotations

from collections.abc import Sequence

from asr.errors import InputError


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise InputError unless the value is one of the choices; ``name`` is the option's."""
    if value not in choices:
        raise InputError(f"{name}: {value!r} is not one of {', '.join(map(str, choices))}")
