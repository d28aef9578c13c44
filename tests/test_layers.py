"""The floors of the package: a module imports only from lower floors, and no imports form a circle.

The check reads the syntax trees, so that imports inside functions and under ``TYPE_CHECKING`` count as well.
docs/architecture.md describes the floors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "asr"

FLOORS = {
    11: ("asr", "__main__"),
    10: ("cli",),
    9: ("training",),
    8: ("evaluation", "serve"),
    7: ("inference",),
    6: ("models",),
    5: ("tasks", "corpora", "output"),
    4: ("data", "decoding"),
    3: ("features", "modules", "lm", "text"),
    2: ("audio", "metrics", "utils", "registry"),
    1: ("errors", "_version", "systems"),
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}


class Import(NamedTuple):
    """One import of one module of the package by another."""

    importer: str
    imported: str
    place: str

    @property
    def parts(self) -> tuple[str, str]:
        """The parts of the package (folders or root modules) that the importer and the imported module belong to."""
        return part(self.importer), part(self.imported)


def part(module: str) -> str:
    """Return the folder or root module that a module belongs to; ``asr`` for the package's ``__init__``."""
    return module.split(".")[1] if "." in module else module


def module_names(package: Path) -> dict[str, Path]:
    """Return the files of a package by module name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported_names(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """Return the dotted names that a node imports, relative imports made absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = module.split(".")[: None if is_package and node.level == 1 else -node.level + is_package]
            base = ".".join([*parents, *filter(None, [node.module])])
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def imports(package: Path) -> Iterator[Import]:
    """Yield each import of a module of the package by another one."""
    modules = module_names(package)
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            for name in imported_names(node, module, path.name == "__init__.py"):
                while name and name not in modules:  # a name inside a module
                    name = name.rpartition(".")[0]
                if name and name != module:
                    place = path.relative_to(package.parent).as_posix()
                    yield Import(module, name, f"{place}:{getattr(node, 'lineno', 0)}")


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the nodes of one circle of a directed graph in order, or an empty list."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if nodes := visit(following, [*path, node]):
                return nodes
        done.add(node)
        return []

    return next((nodes for node in sorted(graph) if (nodes := visit(node, []))), [])


def graph_of(edges: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the successors of each node; an edge from a node to itself is left out."""
    graph: dict[str, set[str]] = {}
    for start, end in edges:
        if start != end:
            graph.setdefault(start, set()).add(end)
    return graph


def test_every_file_and_folder_has_a_floor() -> None:
    parts = {part(module) for module in module_names(PACKAGE)}
    assert parts <= set(FLOOR_OF)


def test_modules_import_from_lower_floors_only() -> None:
    upward = []
    for edge in imports(PACKAGE):
        importer, imported = edge.parts
        if FLOOR_OF[importer] < FLOOR_OF[imported]:
            upward.append(f"{edge.place}: {edge.importer} imports {edge.imported}, which is on a higher floor")
    assert not upward, "\n".join(upward)


def test_folders_of_one_floor_form_no_circle() -> None:
    assert not circle(graph_of([edge.parts for edge in imports(PACKAGE)]))


def test_modules_form_no_circle() -> None:
    everything = list(imports(PACKAGE))
    modules = circle(graph_of([(edge.importer, edge.imported) for edge in everything]))
    pairs = set(zip(modules, [*modules[1:], *modules[:1]], strict=True))
    places = [f"{edge.place}: imports {edge.imported}" for edge in everything if edge[:2] in pairs]
    assert not modules, "\n".join(places)


def test_imports_in_functions_and_for_types_are_seen(tmp_path: Path) -> None:
    package = tmp_path / "asr"
    (package / "audio").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "audio" / "__init__.py").write_text("from .reader import read\n")
    (package / "audio" / "reader.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from asr.tasks import ctc\n"
        "def read():\n    from . import opener\n    from .. import cli\n    import asr.audio\n"
    )
    (package / "audio" / "opener.py").write_text("")
    for name in ("tasks", "cli"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text("")
    (package / "tasks" / "ctc.py").write_text("")
    edges = {(i.importer, i.imported, i.place) for i in imports(package)}
    assert edges == {
        ("asr.audio", "asr.audio.reader", "asr/audio/__init__.py:1"),
        ("asr.audio.reader", "asr.tasks.ctc", "asr/audio/reader.py:3"),
        ("asr.audio.reader", "asr.audio.opener", "asr/audio/reader.py:5"),
        ("asr.audio.reader", "asr.cli", "asr/audio/reader.py:6"),
        ("asr.audio.reader", "asr.audio", "asr/audio/reader.py:7"),
    }
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b"}, "b": set()}) == []
