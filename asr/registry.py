"""Build objects from configuration: ``{"type": name, option: value, …}``.

Only names in a registry can be built. A model directory comes from anywhere, so its configuration must not be able to
name a class to import, as Hydra's ``_target_`` would.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from asr.errors import InputError
from asr.utils.options import check_choice, check_names, check_value

Registry = Mapping[str, Callable[..., Any]]


def build(registry: Registry, config: Mapping[str, Any], what: str, **given: Any) -> Any:
    """Call a registry's entry with options from a configuration.

    Args:
        registry: constructors by type name.
        config: the type's name under "type", and options of its constructor.
        what: the configuration's group, for messages.
        **given: further arguments of the constructor, which a configuration must not set.

    Returns:
        What the constructor returns.

    Raises:
        InputError: the type is unknown, the options do not fit the constructor (see `check`), the constructor refuses
            a value with an InputError, or a constructor from outside this package (torch's optimizers) refuses it with
            a ValueError or, where two options exclude each other, a RuntimeError. Other errors are faults of the
            program and are not changed.
    """
    check(registry, config, what, given)
    constructor = registry[config["type"]]
    options = {name: value for name, value in config.items() if name != "type"}
    try:
        return constructor(**given, **options)
    except (ValueError, RuntimeError) as error:
        if isinstance(error, InputError) or constructor.__module__.startswith("asr."):
            raise
        raise InputError(f"{what}: {config['type']}: {error}") from error


def check(registry: Registry, config: Mapping[str, Any], what: str, given: Collection[str] = ()) -> None:
    """Check a configuration against the constructor of its type, without calling it.

    Args:
        registry: constructors by type name.
        config: the type's name under "type", and options of its constructor.
        what: the configuration's group, for messages.
        given: parameters of the constructor that do not come from the configuration.

    Raises:
        InputError: the type or an option is unknown, a required option is missing, or a value is not of the annotated
            type. The message names the option and what would be accepted.
    """
    if not isinstance(config, Mapping):
        raise InputError(f"{what}={config!r}: expected a mapping of options")
    kind = config.get("type")
    check_choice(f"{what}: type", kind, registry)
    constructor = registry[str(kind)]
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(constructor).parameters.items()
        if name not in given and parameter.kind is not parameter.VAR_KEYWORD
    }
    options = {name: value for name, value in config.items() if name != "type"}
    check_names(f"{what}: {kind}", options, list(parameters))
    for name, parameter in parameters.items():
        if name in options:
            check_value(f"{what}.{name}", options[name], _annotation(constructor, parameter))
        elif parameter.default is parameter.empty:
            raise InputError(f"{what}: {kind} needs the option {name}")


def _annotation(constructor: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation, a string resolved where its names are imported at run time."""
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    function: Any = constructor.__init__ if isinstance(constructor, type) else constructor  # type: ignore[misc]
    try:
        return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
    except NameError:
        return annotation
