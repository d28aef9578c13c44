"""Paths of `configs/` and `recipes/`: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

from asr.errors import InputError
from asr.utils.options import did_you_mean


def folder(name: str) -> Path:
    """Return the path of ``configs`` or ``recipes``. Raises InputError if the installation lacks it."""
    package = Path(__file__).parents[1]
    for candidate in (package / "share" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise InputError(f"this installation of asr has no {name}/")


def recipe(path: str | Path) -> Path:
    """Find a recipe by its path, or by its path below `recipes/`, with or without that folder and ``.yaml``.

    Raises:
        InputError: there is no such recipe; the known ones are listed.
    """
    path = Path(path)
    for candidate in (path, folder("recipes").parent / path, folder("recipes") / path):
        for option in (candidate, candidate.with_name(candidate.name + ".yaml")):
            if option.is_file():
                return option.resolve()
    known = sorted(str(p.relative_to(folder("recipes").parent)) for p in folder("recipes").glob("*/*.yaml"))
    raise InputError(f"{path}: no such recipe{did_you_mean(str(path), known)}; there are {', '.join(known)}")


def shipped(path: str) -> str:
    """Return a path below ``recipes/`` as that of this installation's file, where it has it and the path leads nowhere.

    In a checkout, commands run where the recipes are; an installed package is used from anywhere.
    """
    if not path.startswith("recipes/") or Path(path).exists():
        return path
    try:
        candidate = folder("recipes").parent / path
    except InputError:
        return path
    return str(candidate) if candidate.exists() else path
