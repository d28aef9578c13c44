"""Settings on the command line in Hydra's grammar: paths and other texts need no quotation marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asr.errors import InputError

DATA = ("data.train", "data.dev", "data.test")  # a path, a list of paths, or a mapping of names to paths
MAPPINGS = (*DATA, "init")  # a path, or a mapping of names to paths
PATHS = frozenset(DATA) | {
    "data.cache", "data.perturbation.noise", "data.perturbation.impulse_responses", "run_dir", "init", "resume",
    "decoder.lm", "decoder.lexicon", "decoder.character_lm", "decoder.neural_lm",
    "decoder.rescoring_lm",
}  # fmt: skip


def hydra_overrides(overrides: Sequence[str], multirun: bool = False) -> list[str]:
    """Return settings KEY=VALUE in Hydra's grammar, the keys by their present names.

    A value is taken as it is typed where the setting is a path, or where Hydra's grammar does not have it. A comma
    separates the values of a sweep with ``multirun`` only. A mapping for one of `MAPPINGS` replaces that of the recipe,
    where Hydra would merge them.

    Raises:
        InputError: a setting without a value.
    """
    return [argument for override in overrides for argument in _convert(override, multirun)]


def _convert(override: str, multirun: bool) -> Iterator[str]:
    from asr.models.aliases import present_name

    if not (match := re.fullmatch(r"(\+\+?|~)?([\w.@/:-]+)(?:=(.*))?", override, re.DOTALL)):
        raise InputError(f"{override}: not a setting; use KEY=VALUE, such as trainer.epochs=20")
    prefix, key, value = match[1] or "", present_name(match[2]), match[3]
    if prefix == "~":
        yield f"~{key}" if value is None else f"~{key}={value}"
        return
    if value is None:
        raise InputError(f"{override}: a setting needs a value: {override}=VALUE")
    if prefix == "+" and "." in key:
        prefix = "++"  # Hydra's + refuses a setting that is there already, with its default value
    mapping = _mapping(value) if key in MAPPINGS else None
    if mapping is not None:
        if not prefix:
            yield f"{key}=null"  # Hydra refuses to delete (~) what is null already
        entries = ",".join(f"{name}:{_written(part)}" for name, part in mapping.items())
        yield f"++{key}={{{entries}}}"
        return
    yield f"{prefix}{key}={_value(key, value, multirun)}"


def _value(key: str, value: str, multirun: bool) -> str:
    """Return a value in Hydra's grammar."""
    parsed = _parse(value)
    if multirun and "," in value and (parsed is None or parsed.is_sweep_override()):
        if parsed is not None:
            return value
        return ",".join(part if _parse(part) else quote(part) for part in value.split(","))
    if parsed is None:
        return quote(value)
    if key in PATHS:
        plain = parsed.value()
        number = isinstance(plain, (int, float))  # a folder named 2024
        changed = isinstance(plain, str) and plain != value and value[0] not in "'\""  # blanks, backslashes
        if parsed.is_sweep_override() or number or changed:
            return quote(value)
    return value


def _parse(value: str) -> Any:
    """Parse a value by Hydra's grammar; None if it is not in it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return None


def _mapping(value: str) -> Mapping[str, Any] | None:
    """Parse ``{name: path, …}``; None if the value is no such mapping."""
    import yaml

    if not re.fullmatch(r"\s*\{.*\}\s*", value, re.DOTALL):
        return None
    try:
        mapping = yaml.safe_load(re.sub(r":(?! )", ": ", value) if ": " not in value else value)
    except yaml.YAMLError:
        return None
    if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping):
        return None
    return mapping


def _written(value: Any) -> str:
    """Return a part of a mapping in Hydra's grammar."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return "null" if value is None else quote(str(value))


def quote(text: str) -> str:
    """Return a text in Hydra's quotation marks."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f'"{escaped}{chr(92) * trailing}"'


def override_of(key: str, overrides: Sequence[str]) -> str:
    """Return the setting on the command line that has a key, or lies below it; "" if there is none."""
    for override in overrides:
        name = override.lstrip("+~").partition("=")[0]
        if name and (name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")):
            return override
    return ""
