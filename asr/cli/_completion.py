"""Values of arguments that the shell completes (``asr --install-completion``)."""

from __future__ import annotations

from pathlib import Path

from asr.models import pretrained


def models(incomplete: str) -> list[str]:
    """Return the models of the package, and the training runs below ``runs/`` that have a model."""
    runs = (path.parent.parent for depth in ("*", "*/*") for path in Path("runs").glob(f"{depth}/model/config.yaml"))
    return [name for name in [*pretrained.names(), *sorted(map(str, runs))] if name.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Return the output formats; of a list, those that may come next."""
    from asr.output.formats import FORMATS

    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{name}" for name in FORMATS if name.startswith(last) and name not in given]


def recipes(incomplete: str) -> list[str]:
    """Return the recipes, as paths from the root of the repository."""
    from asr.utils import resources

    folder = resources.folder("recipes")
    names = (path.relative_to(folder.parent).as_posix() for path in sorted(folder.glob("*/*.yaml")))
    return [name for name in names if name.startswith(incomplete)]


def corpora(incomplete: str) -> list[str]:
    """Return the names of the corpora."""
    from asr.corpora import CORPORA

    return [name for name in CORPORA if name.startswith(incomplete)]
