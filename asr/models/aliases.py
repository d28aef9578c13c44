"""Former names of settings, which recipes and model directories of earlier versions still use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from asr.decoding.ctc import options as ctc_options
from asr.text import vocabulary_file

# Present name by former name, for each group of a configuration; * stands for any name.
ALIASES: dict[str, Mapping[str, str]] = {
    "data": {"rows": "batch_size", "steps": "bptt", "pieces": "eos_after"},
    "data.perturbation": {
        "rooms": "impulse_responses",
        "room_probability": "reverb_probability",
        "silence": "silence_seconds",
        "band": "high_cut",
    },
    "decoder": ctc_options.OPTION_ALIASES,
    "task": {"smoothing": "label_smoothing"},
    "task.heads.*": vocabulary_file.OPTION_ALIASES,
    "trainer": {"minutes": "max_minutes", "accumulate": "accumulate_batches"},
}


def present_name(setting: str) -> str:
    """Return the present name of a setting, "data.batch_size" for "data.rows"; other names are returned unchanged."""
    group, dot, key = setting.rpartition(".")
    return f"{group}{dot}{_aliases_of(group).get(key, key)}"


def rename_settings(config: Mapping[str, Any], overrides: Collection[str] = (), group: str = "") -> dict[str, Any]:
    """Replace former names in all groups of a configuration, and in the training configuration that a model keeps.

    The value under a former name replaces that under the present one: in a composed configuration the latter is the
    default, since the files of `configs/` have present names only.

    Args:
        config: a composed configuration, or that of a model directory.
        overrides: settings from the command line by their present names; their values stay.
        group: the name of the group that ``config`` is, if it is not a whole configuration.
    """
    aliases = _aliases_of(group)
    renamed: dict[str, Any] = {}
    for key, value in config.items():
        if key not in aliases:
            inner = "" if not group and key == "training" else f"{group}.{key}".lstrip(".")
            renamed[key] = rename_settings(value, overrides, inner) if isinstance(value, Mapping) else value
    for former, present in aliases.items():
        if former in config and f"{group}.{present}" not in overrides:
            renamed[present] = config[former]
    if group in ("encoder", "label_rnn") and config.get("cell") == "gru" and "init" not in config:
        renamed["cell"] = "gru_reset_after"  # that was the only one before there was the setting ``init``
    return renamed


def _aliases_of(group: str) -> Mapping[str, str]:
    """Return the aliases of a group's keys."""
    names = group.split(".")
    for pattern, aliases in ALIASES.items():
        parts = pattern.split(".")
        if len(parts) == len(names) and all(part in ("*", name) for part, name in zip(parts, names, strict=True)):
            return aliases
    return {}
