"""Build the documentation site: ``python docs/make_site.py [FOLDER]``, which ``make docs`` runs (extra ``docs``).

A page is a file of the repository, wherever it is, so that nothing is written twice: READMEs of recipes, the
benchmarks and the model card are pages as those in docs/ are, and the home page is the beginning of README.md. Two
are generated: that of the commands from their parsers, that of the Python API from the docstrings. Pages are staged
in FOLDER/pages with their links rewritten for the site, and built into FOLDER/site without a network. A link to a
file that does not exist is an error, and so is whatever Zensical warns of.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parent
ROOT = DOCS.parent
HOME_END = "<!-- the home page of the site ends here -->"
COMMANDS, API = "commands.md", "api.md"
NAVIGATION: dict[str, dict[str, str]] = {  # section → title → file of the repository, or generated page
    "Start": {
        "Home": "README.md",
        "Quick start": "docs/quickstart.md",
        "Your own data": "docs/data.md",
        "Notebook: transcribe and plot": "docs/notebooks/transcribe.ipynb",
        "Notebook: train on your recordings": "docs/notebooks/train.ipynb",
        "How it compares": "docs/comparison.md",
    },
    "Use": {
        "Transcription": "docs/transcription.md",
        "Alignment": "docs/alignment.md",
        "Search and language models": "docs/search.md",
        "Scores of any network": "docs/decoding.md",
        "Captions, pronunciation and more": "docs/systems.md",
        "Server and page": "docs/server.md",
        "Live captions": "docs/live.md",
        "ONNX": "docs/onnx.md",
        "Python": "docs/python.md",
    },
    "Train": {
        "Training": "docs/training.md",
        "Settings": "docs/settings.md",
        "Recurrent networks": "docs/rnn.md",
    },
    "Figures": {
        "Recipes": "docs/recipes.md",
        **{path.parent.name: str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("recipes/*/README.md"))},
        "What was tried for English": "recipes/english/experiments.md",
        "Model card": "asr/models/pretrained/english/README.md",
        "Benchmarks": "benchmarks/README.md",
    },
    "Reference": {
        "Commands": COMMANDS,
        "Python API": API,
        "Architecture": "docs/architecture.md",
        "Contributing": "CONTRIBUTING.md",
        "Security": "SECURITY.md",
        "Changes": "CHANGELOG.md",
    },
}
API_FIRST = ["load", "Recognizer", "Transcript", "Word", "Decoder", "Decoding", "DecoderStream", "align", "error_rate"]
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
INDENT = re.compile(r"^ {2,3}(?=\S)", re.M)
CODE = re.compile(r"(^ *```.*?^ *```[^\n]*$|`[^`\n]+`)", re.DOTALL | re.M)


class Site:
    """The staged pages of the site.

    Args:
        folder: in which they are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.staged: set[str] = set()  # files of the repository
        self.waiting: list[str] = []
        self.faults: list[str] = []

    def add(self, source: str) -> str:
        """Stage a file of the repository, if that has not been done, and return its path in the site."""
        path = site_path(source)
        if source not in self.staged:
            self.staged.add(source)
            if path.endswith(".md"):
                self.waiting.append(source)
            else:
                target = self.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / source, target)
        return path

    def write(self, path: str, text: str) -> None:
        """Write a page."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def finish(self) -> None:
        """Write all pages that were added, and those that they link to."""
        while self.waiting:
            source = self.waiting.pop()
            self.write(site_path(source), rewrite(page_text(source), partial(self.link, source)))

    def link(self, source: str, target: str) -> str:
        """Return a link of a page as it is in the site, and stage what it leads to."""
        name, hash_, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not name:
            return target
        if site_path(source) == name or name in (COMMANDS, API):
            return target
        path = Path(os.path.normpath(ROOT / Path(source).parent / name))
        if not path.is_file() or not path.is_relative_to(ROOT):
            self.faults.append(f"{source}: {target}: no such file")
            return target
        relative = os.path.relpath(self.add(str(path.relative_to(ROOT))), Path(site_path(source)).parent)
        return f"{Path(relative).as_posix()}{hash_}{anchor}"


def site_path(source: str) -> str:
    """Return where a file of the repository is in the site."""
    path = Path(source)
    if path.suffix not in (".md", ".ipynb"):
        return f"files/{source}"
    if source == "README.md":
        return "index.md"
    if path.parts[0] == "docs":
        return path.with_suffix(".md").name
    if path.parts[:2] == ("asr", "models"):
        return "model-card.md" if path.parent.name == "english" else f"model-card-{path.parent.name}.md"
    if path.name == "README.md":
        return f"{path.parent.as_posix()}.md"
    return f"{source.lower()}"


def page_text(source: str) -> str:
    """Return the Markdown of a page."""
    text = (ROOT / source).read_text(encoding="utf-8")
    if source.endswith(".ipynb"):
        return notebook_text(json.loads(text))
    return text.partition(HOME_END)[0] if source == "README.md" else text


def notebook_text(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown, with the outputs that are stored in it."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                image = base64.b64encode(base64.b64decode(data["image/png"])).decode()  # on one line
                parts.append(f"![output](data:image/png;base64,{image})")
            elif printed := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                parts.append(f"```text\n{printed}\n```")
    return "\n\n".join(parts) + "\n"


def rewrite(text: str, link: Callable[[str], str]) -> str:
    """Return a page for the site: with a function applied to the targets of its links and images, but not to code.

    Python-Markdown takes what belongs to an item of a list only where it is indented by four spaces.
    """
    parts = CODE.split(text)
    for i in range(0, len(parts), 2):
        parts[i] = LINK.sub(lambda match: match[1] + link(match[2]) + match[3], INDENT.sub("    ", parts[i]))
    return "".join(parts)


def commands_page() -> str:
    """Return the page of all commands: what ``asr COMMAND --help`` prints."""
    lines = ["# Commands", "", "What `asr COMMAND --help` prints."]
    for name, text in command_helps():
        lines += ["", f"## {name}", "", "```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def command_helps() -> Iterator[tuple[str, str]]:
    """Yield the name of each command and its help text; of ``asr prepare``, also that of each corpus."""
    import typer.main

    from asr.cli import app
    from asr.corpora import CORPORA

    def walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
        context = command.context_class(
            command, info_name=name.rpartition(" ")[2], parent=parent, max_content_width=84, terminal_width=84
        )
        yield name, command.get_help(context)
        for child in getattr(command, "commands", {}).values():
            yield from walk(child, f"{name} {child.name}", context)

    yield from walk(typer.main.get_command(app), "asr", None)
    from asr.corpora import describe

    for corpus in CORPORA:
        yield f"asr prepare {corpus}", describe(corpus)


def api_page() -> str:
    """Return the page of the Python API, whose texts mkdocstrings takes from the docstrings."""
    import asr

    functions = re.findall(r"`(asr(?:\.\w+){2,})\(", (DOCS / "python.md").read_text(encoding="utf-8"))
    lines = ["# Python API", "", "Of the package itself; how they are used together is in [Python](python.md)."]
    names = sorted(
        set(asr.__all__) - {"__version__"}, key=lambda name: (API_FIRST.index(name) if name in API_FIRST else 99, name)
    )
    lines += [f"\n::: asr.{name}" for name in names]
    lines += ["\n## Functions behind the commands"]
    lines += [f"\n::: {name}\n    options:\n      heading_level: 3" for name in dict.fromkeys(functions)]
    lines += [
        "\n## Output\n",
        *(
            f"\n::: {name}\n    options:\n      heading_level: 3"
            for name in ("asr.output.formats.render", "asr.output.cues.CueLimits")
        ),
    ]
    return "\n".join(lines) + "\n"


def stage(folder: Path) -> list[str]:
    """Write the pages and the configuration of the site into a folder, and return what is wrong with them."""
    shutil.rmtree(folder, ignore_errors=True)
    site = Site(folder / "pages")
    navigation: list[Any] = []
    for section, pages in NAVIGATION.items():
        paths = {title: source if source in (COMMANDS, API) else site.add(source) for title, source in pages.items()}
        navigation.append({section: [{title: path} for title, path in paths.items()]})
    site.finish()
    shutil.copyfile(DOCS / "site.css", site.folder / "site.css")
    site.write(COMMANDS, commands_page())
    site.write(API, api_page())
    configuration = yaml.safe_load((DOCS / "site.yaml").read_text(encoding="utf-8"))
    configuration |= {"nav": navigation, "docs_dir": "pages", "site_dir": "site"}
    if url := os.environ.get("DOCS_REPOSITORY"):  # where the site is published
        configuration["repo_url"] = url
    configuration["plugins"][-1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT)]
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    return site.faults


def main(folder: Path) -> None:
    """Build the site, or end with what is wrong with it."""
    if faults := stage(folder):
        sys.exit("\n".join(faults))
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", "mkdocs.yml"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if built.returncode or "No issues found" not in built.stderr + built.stdout:
        sys.exit((built.stdout + built.stderr).partition("Traceback")[0])
    print(f"{folder}/site/index.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs")
