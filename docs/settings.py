"""Write docs/settings.md, the page of all settings of `asr train`, from the comments in configs/.

python docs/settings.py; tests/test_docs.py checks that the page is what this writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "configs"
PAGE = HERE / "settings.md"

# group and its title; the default choice of a group, which train*.yaml names, comes first in its files
GROUPS = {
    "trainer": "Training loop",
    "optimizer": "Optimizer and learning rate",
    "data": "Data",
    "task": "Output and loss",
    "features": "Features",
    "augmentation": "Augmentation",
    "encoder": "Encoder",
    "decoder": "Search of recognizers",
    "label_rnn": "Label RNN",
    "search": "Search of captioners and seq2seq models",
    "image_encoder": "Image encoder",
}
# Parts of groups: their files, where a group has more than one kind of them.
PARTS = {
    "task": {
        "recognizers": ("characters", "characters_and_phones", "phones", "phones_and_characters", "sentencepiece"),
        "transducers": ("transducer", "transducer_phones"),
        "classifiers": ("classification",),
        "seq2seq models": ("seq2seq",),
        "captioners": ("captioning",),
        "language models": ("language",),
        "language models of phones": ("language_phones",),
    },
    "data": {
        "recognizers": ("manifests",),
        "transducers": ("transcripts",),
        "classifiers": ("utterances",),
        "seq2seq models": ("pairs",),
        "captioners": ("captions",),
        "language models": ("text",),
    },
    "optimizer": {"": ("adamw_one_cycle",), "SGD": ("sgd_plateau",)},
}
DEFAULTS = ("filterbank123", "blstm", "greedy")

INTRODUCTION = """# Settings

This page is written by docs/settings.py from the comments in `configs/`.

`asr train RECIPE KEY=VALUE …` changes any setting; unknown ones are refused, with the nearest known one. Values are
written as `null`, `true`, `1e-3`, `[1, 2]` or `{name: value}`; paths need no quotation marks.

```
asr train recipes/digits/ctc.yaml trainer.epochs=20 optimizer.lr=1e-3 encoder.hidden_size=128
asr train recipes/digits/ctc.yaml encoder=lstm                       # another file of the group encoder
asr train recipes/digits/ctc.yaml seed=1,2,3 -m                      # a training for each value
asr train recipes/digits/ctc.yaml "data.train={mine: data/mine/train.jsonl.gz, other: data/other.jsonl.gz}"
asr train recipes/english/characters.yaml ++data.train.mine=data/mine/train.jsonl.gz   # add a set
asr train recipes/english/characters.yaml ~task.heads.phones  # no head of phones
```

A group is a folder of `configs/`; `group=file` chooses one of its files, `group.key=value` changes a setting of the
chosen file. Where files differ, the table has the value of each. A recipe (`recipes/*/*.yaml`) lists only what differs
from this page. The configuration of a trained model is in its `config.yaml`; `asr info MODEL` prints it.

The learning rate, losses and error rates of each epoch are logged for TensorBoard (`tensorboard --logdir runs`). A GPU
is used by itself (`trainer.accelerator`); `trainer.devices=2` trains in two processes.
"""


class Setting(NamedTuple):
    """A setting of a configuration file."""

    key: str  # full, such as "schedule.type"
    value: str  # as written
    comment: str


def settings(path: Path) -> tuple[str, list[Setting]]:
    """Return the comment at the head of a configuration file, and its settings; sections have the value ""."""
    about: list[str] = []
    found: list[Setting] = []
    parents: list[tuple[int, str]] = []  # indentation and key
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"( *)([A-Za-z_]\w*):(?: +((?:[^#]|\S#)*?))?(?: +# (.*))?$", line):
            indent, key = len(match[1]), match[2]
            parents = [parent for parent in parents if parent[0] < indent]
            full = ".".join([*(name for _, name in parents), key])
            parents.append((indent, key))
            found.append(Setting(full, (match[3] or "").strip(), match[4] or ""))
        elif match := re.match(r" *# ?(.*)$", line):
            if found:
                found[-1] = found[-1]._replace(comment=f"{found[-1].comment} {match[1]}")
            else:
                about.append(match[1])
    return " ".join(about), [setting for setting in found if setting.key.split(".")[0] != "defaults"]


def files(group: str, part: Sequence[str]) -> list[Path]:
    """Return the files of a group, or a part of them, the default one first."""
    paths = [CONFIGS / group / f"{name}.yaml" for name in part] or sorted((CONFIGS / group).glob("*.yaml"))
    return sorted(paths, key=lambda path: path.stem not in DEFAULTS)


def rows(group: str, paths: Sequence[Path]) -> Iterator[str]:
    """Yield a table's row for each setting of a group's files."""
    comments: dict[str, str] = {}
    values: dict[str, dict[str, list[str]]] = {}  # by key and value, the files that have it
    if group == "task" and len(paths) > 1:
        kind = "transducer" if paths[0].stem.startswith("transducer") else "ctc"
        paths = [CONFIGS / "task" / "base" / f"{kind}.yaml", *paths]
    for path in paths:
        for setting in settings(path)[1]:
            key = setting.key
            if group == "task":
                key = re.sub(r"^heads\.\w+(\.|$)", r"heads.HEAD\1", key)
            if not setting.value and key != "heads.HEAD":
                continue  # a section
            comments.setdefault(key, setting.comment)
            if key == "heads.HEAD" or setting == Setting("type", path.stem, ""):
                continue
            same = [
                value for value in values.setdefault(key, {}) if yaml.safe_load(value) == yaml.safe_load(setting.value)
            ]
            names = values[key].setdefault(same[0] if same else setting.value, [])
            if path.stem not in names:
                names.append(path.stem)
    for key, by_value in values.items():
        if len(by_value) == 1:
            shown = code(next(iter(by_value)))
        else:
            shown = ", ".join(f"{code(value)} ({', '.join(names)})" for value, names in by_value.items())
        comment = "" if len(by_value) > 1 and key.endswith("type") else comments[key]  # the values say what there is
        yield f"| `{group}.{key}` | {shown} | {escape(comment)} |"


def code(value: str) -> str:
    """Return a value as Markdown; what must be given is marked."""
    return "must be given" if value == "???" else f"`{value}`"


def escape(text: str) -> str:
    """Return a comment as the cell of a table."""
    return text.replace("|", "\\|")


def top() -> Iterator[str]:
    """Yield the rows of the settings that are in no group."""
    for setting in settings(CONFIGS / "base.yaml")[1]:
        yield f"| `{setting.key}` | {code(setting.value)} | {escape(setting.comment)} |"
    yield "| `name` | `model` | name of the model, in its card and in run_dir |"


HEADER = ["| setting | value | meaning |", "| --- | --- | --- |"]


def render() -> str:
    """Return the page."""
    lines = [INTRODUCTION, "## The run", "", *HEADER, *top()]
    for group, title in GROUPS.items():
        lines += ["", f"## {title}: `{group}`"]
        for part, names in PARTS.get(group, {"": ()}).items():
            paths = files(group, names)
            lines += ["", f"### {part[0].upper()}{part[1:]}", ""] if part else [""]
            lines += [f"- `{group}={path.stem}`: {settings(path)[0]}" for path in paths]
            lines += ["", *HEADER, *rows(group, paths)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
