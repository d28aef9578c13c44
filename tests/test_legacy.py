"""Models and manifests of version 0.1.0 are read, and give the outputs that it gave (``data/legacy/``)."""

from __future__ import annotations

import json
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import asr as package
from asr.data import caption_manifest, manifest, pairs
from asr.errors import InputError
from asr.systems import SYSTEMS
from asr.text.vocabulary import Vocabulary

LEGACY = Path(__file__).parent / "data" / "legacy"
MODELS = sorted(path.parent.name for path in LEGACY.glob("*/config.yaml"))
TOLERANCE = 2e-4  # outputs are printed with four digits


def cases(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((LEGACY / name / "expected.json").read_text(encoding="utf-8"))
    return rows


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("legacy") / "legacy"
    shutil.copytree(LEGACY, folder)
    for packed in folder.glob("*/*.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    return folder


@pytest.fixture
def legacy(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder, and make it the current one, as the paths of the cases are relative to it."""
    monkeypatch.chdir(copy)
    return copy


NEW_KEYS = ("fits", "phones", "warnings", "channel")  # of transcripts, since the outputs were recorded


def leaves(value: Any) -> Iterator[Any]:
    """Yield the values of a JSON document in order, without its keys and without those that are new."""
    if isinstance(value, dict | list):
        for inner in [v for k, v in value.items() if k not in NEW_KEYS] if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield value


def parse(output: str) -> Any:
    """Return a JSON document, or the documents of JSON lines, or the text if it is neither."""
    for parser in (json.loads, lambda text: [json.loads(line) for line in text.splitlines()]):
        try:
            return parser(output)
        except ValueError:
            continue
    return output


def entries(document: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """Return the outermost entries of nested dictionaries that have all the keys."""
    if set(keys) <= document.keys():
        return {key: document[key] for key in keys}
    return next(
        (found for inner in document.values() if isinstance(inner, dict) and (found := entries(inner, keys))), {}
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name in MODELS for case in cases(name)])
def test_commands_give_the_same_outputs(legacy: Path, asr: Callable[..., Any], case: dict[str, Any]) -> None:
    outcome = asr(*case["command"])
    assert outcome.status == 0, outcome.err
    if "scores" in case:
        scores = json.loads(Path("scores.json").read_text(encoding="utf-8"))
        assert entries(scores, list(case["scores"])) == pytest.approx(case["scores"], abs=TOLERANCE)
    else:
        values, expected = list(leaves(parse(outcome.out))), case["values"]
        assert len(values) == len(expected), outcome.out
        for value, known in zip(values, expected, strict=True):
            assert value == (pytest.approx(known, abs=TOLERANCE) if isinstance(known, float) else known)


@pytest.mark.parametrize("name", MODELS)
def test_load_returns_the_runner_of_the_system(legacy: Path, name: str) -> None:
    runner = package.load(name)
    kind = "ctc" if name.startswith("ctc") else name
    assert isinstance(runner, SYSTEMS[kind].load("runner"))


@pytest.mark.parametrize("name", MODELS)
def test_info(legacy: Path, asr: Callable[..., Any], name: str) -> None:
    outcome = asr("info", name)
    assert outcome.status == 0 and "made by asr 0.1.0" in outcome.out


def relative(path: str | None) -> str | None:
    return None if path is None else os.path.relpath(os.path.realpath(path))


def read_manifest(path: str) -> list[dict[str, Any]]:
    items = []
    for cut in manifest.read(path):
        supervision = cut.supervisions[0]
        recording, features = cut.recording, cut.features
        items.append(
            {
                "id": cut.id,
                "start": cut.start,
                "duration": cut.duration,
                "text": supervision.text,
                "speaker": supervision.speaker,
                "gender": supervision.gender,
                "custom": supervision.custom,
                "audio": relative(recording and recording.sources[0].source),
                "samples": recording and recording.num_samples,
                "features": relative(features and features.storage_path),
                "frames": features and [features.num_frames, features.num_features],
            }
        )
    return items


def read_captions(path: str) -> list[Any]:
    return [[item.id, relative(item.image), list(item.captions)] for item in caption_manifest.read(path)]


def read_pairs(path: str) -> dict[str, list[str]]:
    return {source: list(targets) for source, targets in pairs.read(path).items()}


def read_vocabulary(path: str, texts: list[str]) -> dict[str, Any]:
    vocabulary = Vocabulary.load(Path(path))
    rows = []
    for text in texts:
        try:
            labels = list(vocabulary.encode(text))
            rows.append([text, labels, vocabulary.decode(labels), vocabulary.normalize_for_scoring(text)])
        except InputError as error:
            rows.append([text, type(error).__name__])
    return {"kind": vocabulary.kind, "texts": rows}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["path"]) for case in cases("manifests")])
def test_manifests_and_vocabularies_are_read_alike(legacy: Path, case: dict[str, Any]) -> None:
    if case["reader"] == "vocabulary":
        result: Any = read_vocabulary(case["path"], [row[0] for row in case["result"]["texts"]])
    else:
        readers = {"manifest": read_manifest, "captions": read_captions, "pairs": read_pairs}
        result = readers[case["reader"]](case["path"])
    assert json.loads(json.dumps(result)) == case["result"]
