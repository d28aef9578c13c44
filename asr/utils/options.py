"""Check options that a user gave: unknown names, values of the wrong type or outside their limits.

The accepted type of an option stands where the option is defined, as the annotation of a constructor's parameter or of
a dataclass field. A field's limits are in its metadata: ``field(metadata={"min": 1})``.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

from asr.errors import InputError

SIMILARITY = 0.65  # least share of common characters that makes a name worth suggesting

_PLAIN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    Path: "a path",
    type(None): "null",
}
_PLURAL = {int: "whole numbers", float: "numbers", str: "strings", Path: "paths"}


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" with the known name most similar to ``name``, or "" if none is similar."""
    nearest = difflib.get_close_matches(name, list(known), 1, SIMILARITY) if isinstance(name, str) else []
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number of Python or numpy; a boolean is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number of Python or numpy; a boolean is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Raise InputError, which lists the choices, unless the value is one of them."""
    if value not in list(choices):  # a list, as an unhashable value may be asked for
        listed = [str(choice) for choice in choices]
        raise InputError(f"{name}={value!r} is not one of {', '.join(listed)}{did_you_mean(value, listed)}")


def check_names(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise InputError, which lists the known names, if an option's name is not among them."""
    if unknown := [f"{name}{did_you_mean(name, known)}" for name in names if name not in known]:
        raise InputError(f"{where} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")


def check_options(where: str, options: Any, *schemas: type) -> None:
    """Check a mapping of options against the fields of dataclasses.

    Args:
        where: the group of the options, for the message.
        options: values by name. An absent option counts as null, unless its field has a default.
        *schemas: dataclasses whose fields are the options, with the limits of `check_value` in their metadata.

    Raises:
        InputError: ``options`` is not a mapping, an option is unknown, or a value is not accepted.
    """
    if not isinstance(options, Mapping):
        raise InputError(f"{where}={options!r}: expected a mapping of options")
    fields = {field.name: field for schema in schemas for field in dataclasses.fields(schema)}
    annotations = {name: hint for schema in schemas for name, hint in get_type_hints(schema).items()}
    check_names(where, options, list(fields))
    for name, field in fields.items():
        if name in options or field.default is field.default_factory is dataclasses.MISSING:
            check_value(f"{where}.{name}", options.get(name), annotations[name], **field.metadata)


def check_value(
    name: str,
    value: object,
    annotation: Any,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: Collection[object] | None = None,
) -> None:
    """Raise InputError unless a value has the annotated type and lies within the limits.

    Args:
        name: of the option, for the message.
        value: as read from YAML or the command line.
        annotation: a type; see `accepts`.
        min: smallest number accepted.
        max: largest number accepted.
        choices: the values accepted; null is accepted as well if the annotation has None.
    """
    if value is None and accepts(annotation, None):
        return
    if choices is not None:
        check_choice(name, value, choices)
    elif get_origin(annotation) is Literal:
        check_choice(name, value, get_args(annotation))
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    too_small, too_large = (number and limit is not None for limit in (min, max))
    if (
        not accepts(annotation, value)
        or (too_small and not value >= min)  # type: ignore[operator]
        or (too_large and not value <= max)  # type: ignore[operator]
    ):
        raise InputError(f"{name}={value!r}: expected {describe(annotation, _limits(min, max))}")


def _limits(min: float | None, max: float | None) -> str:
    if min is not None and max is not None:
        return f" from {min:g} to {max:g}"
    return f" of at least {min:g}" if min is not None else f" of at most {max:g}" if max is not None else ""


def accepts(annotation: Any, value: object) -> bool:
    """Return whether a value is of an annotated type, as far as values of YAML go.

    A whole number is a float too, a boolean is no number, a list is any sequence, and a string may be a path. A string
    annotation, which could not be resolved, accepts everything.
    """
    if annotation is Any or isinstance(annotation, str):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(accepts(argument, value) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if annotation is None:
        return value is None
    if isinstance(value, bool):
        return annotation is bool
    if annotation is float:
        return isinstance(value, (int, float))
    if annotation is Path:
        return isinstance(value, (str, Path))
    if origin is None:
        return not isinstance(annotation, type) or isinstance(value, annotation)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            accepts(of, part) for pair in value.items() for of, part in zip(arguments, pair, strict=False)
        )
    if issubclass(origin, Sequence):
        return _accepts_sequence(origin, arguments, value)
    return isinstance(value, origin)


def _accepts_sequence(origin: type, arguments: tuple[Any, ...], value: object) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    if issubclass(origin, tuple) and Ellipsis not in arguments:
        return len(value) == len(arguments) and all(map(accepts, arguments, value))
    return all(accepts(arguments[0], item) for item in value)


def describe(annotation: Any, limits: str = "") -> str:
    """Return the values that an annotation accepts in words: "a whole number of at least 1 or null"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        names = [text for argument in arguments if (text := describe(argument, limits))]
        return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if annotation in (int, float):
        return _PLAIN[annotation] + limits
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        count = f"{len(arguments)} " if issubclass(origin, tuple) and Ellipsis not in arguments else ""
        return f"a list of {count}{_PLURAL.get(arguments[0], 'values')}"
    return ""  # a type that YAML has no values of
