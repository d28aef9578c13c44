"""Former names of keys in a configuration's groups, which models saved by earlier versions use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr.utils.aliases import rename_keys

GROUP_ALIASES = {"task": {"smoothing": "label_smoothing"}}


def rename_groups(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the former keys of its groups renamed. Raises InputError if both names are given."""
    renamed = dict(config)
    for group, aliases in GROUP_ALIASES.items():
        if isinstance(config.get(group), Mapping):
            renamed[group] = rename_keys(config[group], aliases)
    return renamed
