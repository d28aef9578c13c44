"""Objects from configuration: ``{"type": name, option: value, …}``.

Only names in a registry can be made. A model directory comes from anywhere, so its configuration must not be able to
name a class to import, as Hydra's ``_target_`` would.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from asr.errors import InputError


def build(registry: Mapping[str, Callable[..., Any]], config: Mapping[str, Any], what: str, **given: Any) -> Any:
    """Call the registry's entry ``config["type"]`` with the other keys of ``config`` and with ``given``.

    Raises InputError naming ``what``, the key at fault, and what would be accepted.
    """
    options = dict(config)
    kind = options.pop("type", None)
    if kind not in registry:
        raise InputError(f"{what}: type={kind!r} is not one of {', '.join(registry)}")
    make = registry[kind]
    parameters = inspect.signature(make).parameters
    accepted = [name for name in parameters if name not in given]
    if unknown := [name for name in options if name not in accepted]:
        raise InputError(f"{what}: {kind} has no option {', '.join(unknown)}; it has {', '.join(accepted)}")
    for name, value in options.items():  # a word such as "no" would count as true
        if parameters[name].annotation in (bool, "bool") and not isinstance(value, bool):
            raise InputError(f"{what}.{name}={value!r}: true or false is wanted")
    try:
        return make(**given, **options)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: {kind}: {error}") from error
