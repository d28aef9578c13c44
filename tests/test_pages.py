"""The pages of the documentation, README.md and the READMEs: links, commands, and what commands print."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import typer.main

ROOT = Path(__file__).parents[1]
LEGACY = Path(__file__).parent / "data" / "legacy"
CLIP = ROOT / "recipes/english/clips/commission.opus"
FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.DOTALL | re.M)
READMES = [*ROOT.glob("recipes/*/README.md"), ROOT / "benchmarks/README.md", *ROOT.glob("asr/models/*/*/README.md")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *READMES])


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Command(NamedTuple):
    """A command of a page: its words, the file that it reads, and the lines that the page says it prints."""

    words: list[str]
    stdin: str | None
    printed: list[str]


def split(line: str) -> tuple[list[str], str | None]:
    """Return the words of the first command of a line of shell, and the file of its standard input."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    words = list(lexer)
    ends = [i for i, word in enumerate(words) if set(word) <= set("|<>;&")] or [len(words)]
    stdin = words[ends[0] + 1] if ends[0] < len(words) and words[ends[0]] == "<" else None
    return words[: ends[0]], stdin


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands of asr in the blocks of a page; after ``$`` comes what they print."""
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        lines = re.sub(r" *\\\n *", " ", block).splitlines() if language in ("", "console") else []
        for number, line in enumerate(lines):
            given = line.strip().removeprefix("$ ")
            if given.startswith("asr ") and "$(" not in given and "…" not in given:
                printed = lines[number + 1 :] if line.startswith("$ ") else []
                ends = [i for i, text in enumerate(printed) if text.startswith("$ ")] or [len(printed)]
                words, stdin = split(given)
                yield Command(words[1:], stdin, printed[: ends[0]])


def parser(words: list[str]) -> tuple[Any, list[str]]:
    """Return the parser of a command, and its arguments."""
    from asr.cli import app

    found: Any = typer.main.get_command(app)
    while words and words[0] in getattr(found, "commands", ()):
        found, words = found.commands[words[0]], words[1:]
    return found, words


@pytest.fixture(scope="module")
def site() -> Any:
    spec = importlib.util.spec_from_file_location("make_site", ROOT / "docs/make_site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_files_and_headings(page: Path, site: Any) -> None:
    links = [
        match[2]
        for part in site.CODE.split(page.read_text(encoding="utf-8"))[::2]
        for match in site.LINK.finditer(part)
        if not re.match(r"[a-z]+:", match[2])
    ]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_has_every_page(site: Any, tmp_path: Path) -> None:
    listed = {source for pages in site.NAVIGATION.values() for source in pages.values()}
    assert not {page_name(page) for page in PAGES} - listed
    assert site.stage(tmp_path) == []
    home = (tmp_path / "pages/index.md").read_text(encoding="utf-8")
    assert "files/docs/spikes.png" in home and "## Where things are" not in home
    assert "--close-gaps" in (tmp_path / "pages/commands.md").read_text(encoding="utf-8")
    assert "::: asr.Decoder" in (tmp_path / "pages/api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_are_accepted(page: Path) -> None:
    for words, _, _ in commands(page):
        command, arguments = parser(words)
        command.make_context(words[0], arguments).close()  # parses the options
    for given in re.findall(r"`asr ([^`\n]*--[^`\n]*)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
        words, _ = split(given)
        known = {name for parameter in parser(words)[0].params for name in parameter.opts} | {"--help"}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert words[0] in ("COMMAND", "NAME") or options <= known | {"--install-completion"}, given
