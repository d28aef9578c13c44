"""A model directory: round trips, safe replacement, and errors that name the damaged file."""

from __future__ import annotations

import copy
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load, save_file

from asr.errors import InputError
from asr.models import directory, store
from asr.tasks.ctc import CTCTask
from asr.text.vocabulary import Vocabulary

CONFIG: dict[str, Any] = {
    "task": {"type": "ctc", "heads": {"text": {"kind": "characters"}, "phones": {"kind": "phones", "weight": 0.5}}},
    "features": {"type": "filterbank", "sample_rate": 8000, "num_mels": 10, "deltas": 2, "normalization": "global"},
    "encoder": {"type": "rnn", "hidden_size": 6, "num_layers": 2, "dropout": 0.3, "stack": 2, "stride": 2},
    "augmentation": {"masks": {"type": "specaugment"}},
    "training": {"seed": 7},
}


def make_task() -> CTCTask:
    torch.manual_seed(0)
    vocabularies = {"text": Vocabulary.characters(" abé"), "phones": Vocabulary.phones(["aa", "b"])}
    task = CTCTask.from_config(CONFIG, vocabularies)
    task.features.fit([(torch.randn(2, 4000), torch.tensor([4000, 2500]))])
    return task


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    store.save(make_task(), tmp_path / "model", CONFIG, {"dev": {"wer": 0.5}}, "# card\n")
    return tmp_path / "model"


def test_round_trip(saved: Path) -> None:
    task, loaded = make_task().eval(), store.load(saved, CTCTask)
    assert not loaded.training
    assert loaded.vocabularies == task.vocabularies and list(loaded.vocabularies) == ["text", "phones"]
    assert loaded.weights == {"text": 1.0, "phones": 0.5}
    inputs, lengths = torch.randn(2, 6000), torch.tensor([6000, 1234])
    log_probs, frames = loaded(inputs, lengths)
    expected, expected_frames = task(inputs, lengths)
    assert torch.equal(frames, expected_frames)
    assert all(torch.equal(log_probs[head], expected[head]) for head in expected)
    assert directory.read_config(saved)["training"] == {"seed": 7}
    assert (saved / "README.md").read_text() == "# card\n"
    assert {path.name for path in saved.iterdir()} == {
        "config.yaml", "vocabulary.txt", "vocabulary.phones.txt", "weights.safetensors", "metrics.json", "README.md"
    }  # fmt: skip


def test_a_second_round_trip_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    config = {key: value for key, value in directory.read_config(saved).items() if key != "asr_version"}
    store.save(store.load(saved, CTCTask), tmp_path / "again", config, {"dev": {"wer": 0.5}}, "# card\n")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_saving_replaces_the_whole_directory(saved: Path) -> None:
    (saved / "stale.txt").write_text("")
    store.save(make_task(), saved, CONFIG)
    assert not (saved / "stale.txt").exists()


def test_a_failing_save_leaves_the_old_model(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(yaml.YAMLError):
        store.save(make_task(), saved, CONFIG | {"training": object()})
    assert before == {path.name: path.read_bytes() for path in saved.iterdir()}
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def files(model: Path) -> dict[str, bytes]:
    return {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}


@pytest.fixture
def failing_replace(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return ``fail(*steps)``: let these calls of os.replace fail, counted from 0."""

    def fail(*steps: int) -> None:
        calls = iter(range(9))

        def replace(source: Path, target: Path) -> None:
            if next(calls) in steps:
                raise OSError("no space")
            os.rename(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return fail


@pytest.mark.parametrize("step", [0, 1])
def test_a_failing_rename_leaves_the_old_model_at_its_place(
    step: int, saved: Path, failing_replace: Callable[..., None]
) -> None:
    before = files(saved)
    failing_replace(step)
    with pytest.raises(OSError, match="no space"):
        store.save(make_task(), saved, CONFIG, card="# new\n")
    assert files(saved) == before
    assert list(saved.parent.iterdir()) == [saved]


def test_an_interrupted_save_leaves_the_old_model_to_recover(
    saved: Path, failing_replace: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(saved)
    with monkeypatch.context():
        failing_replace(1, 2)  # it cannot be put back either
        with pytest.raises(OSError, match="no space"):
            store.save(make_task(), saved, CONFIG, card="# new\n")
    previous = directory.previous_directory(saved)
    assert previous.name == ".model.previous" and not saved.exists() and files(previous) == before
    message = f"{saved}: saving this model was interrupted; rename {previous} to recover the one before"
    for path in (saved, saved.parent):  # the model directory, the training run
        with pytest.raises(InputError, match=re.escape(message)):
            directory.find(path)
    monkeypatch.undo()
    store.save(make_task(), saved, CONFIG, card="# new\n")
    assert (saved / "README.md").read_text() == "# new\n"
    assert list(saved.parent.iterdir()) == [saved]


def test_a_save_that_ended_before_it_deleted_the_old_model(saved: Path) -> None:
    shutil.copytree(saved, directory.previous_directory(saved))
    store.save(make_task(), saved, CONFIG, card="# new\n")
    assert (saved / "README.md").read_text() == "# new\n"
    assert list(saved.parent.iterdir()) == [saved]


def test_a_link_to_a_model_directory_stays(saved: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "model"
    link.parent.mkdir()
    link.symlink_to(saved)
    store.save(make_task(), link, CONFIG, card="# new\n")
    assert link.is_symlink() and (saved / "README.md").read_text() == "# new\n"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: a file is in the way of the model directory"):
        store.save(make_task(), tmp_path / "file", CONFIG)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_have_the_modes_that_the_umask_allows(umask: int, saved: Path, tmp_path: Path) -> None:
    """Also copies of files that only their owner can read."""
    for path in saved.iterdir():
        path.chmod(0o600)
    config = CONFIG | {"decoder": {"type": "beam", "pronouncer": str(saved), "lexicon": str(saved / "README.md")}}
    before = os.umask(umask)
    try:
        store.save(make_task(), tmp_path / "new", config)
    finally:
        os.umask(before)
    paths = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert any(path.parent.name == "pronouncer" for path in paths)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o666 & ~umask}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o777 & ~umask


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        config = copy.deepcopy(yaml.safe_load(path.read_text()))
        change(config)
        path.write_text(yaml.safe_dump(config, sort_keys=False))

    return apply


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load(path.read_bytes())


def pickled(path: Path) -> None:
    torch.save(weights(path), path)


def without_one(path: Path) -> None:
    state = weights(path)
    state.pop("heads.text.weight")
    save_file(state, path)


def in_another_shape(path: Path) -> None:
    state = weights(path)
    state["heads.text.weight"] = state["heads.text.weight"][:-1].contiguous()
    save_file(state, path)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("config.yaml", Path.unlink, "not a model directory .no config.yaml"),
        ("config.yaml", lambda p: p.write_text("a: ["), "config.yaml: not YAML"),
        ("config.yaml", lambda p: p.write_bytes(b"\xff\xfe\x00"), "config.yaml: not YAML"),
        ("config.yaml", lambda p: p.write_text(""), "config.yaml: needs the group task"),
        ("config.yaml", lambda p: p.write_text("- a"), "config.yaml: needs the group task"),
        ("config.yaml", edited(lambda c: c.pop("encoder")), "needs the groups task, features and encoder"),
        ("config.yaml", edited(lambda c: c["task"].pop("heads")), "config.yaml: task.heads"),
        ("config.yaml", edited(lambda c: c["task"]["heads"].update(text=3)), "config.yaml: task.heads"),
        ("config.yaml", edited(lambda c: c.update(augmentation=[1])), "config.yaml: augmentation"),
        ("config.yaml", edited(lambda c: c["task"].update(type="os.system")), "config.yaml: .*'os.system' is not one"),
        ("config.yaml", edited(lambda c: c["encoder"].update(type="os.system")), "config.yaml: encoder: .*os.system"),
        ("config.yaml", edited(lambda c: c["features"].update(_target_="os.system")), "config.yaml: .*_target_"),
        ("config.yaml", lambda p: p.write_text("!!python/object/apply:os.system [true]"), "config.yaml: not YAML"),
        ("config.yaml", edited(lambda c: c["encoder"].update(hidden_size=7)), "weights.safetensors: does not fit"),
        ("vocabulary.txt", Path.unlink, "vocabulary.txt: cannot be read"),
        ("vocabulary.phones.txt", Path.unlink, "vocabulary.phones.txt: cannot be read"),
        ("vocabulary.txt", lambda p: p.write_text("a\nb\n"), "vocabulary.txt:1: not a vocabulary"),
        ("vocabulary.txt", lambda p: p.write_bytes(p.read_bytes()[:-6]), "vocabulary.txt:4: the file ends here"),
        ("weights.safetensors", Path.unlink, "weights.safetensors: cannot be read as safetensors"),
        ("weights.safetensors", lambda p: p.write_bytes(b""), "weights.safetensors: cannot be read as safetensors"),
        ("weights.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-1]), "weights.safetensors: cannot be read"),
        ("weights.safetensors", pickled, "weights.safetensors: cannot be read as safetensors"),
        ("weights.safetensors", without_one, "weights.safetensors: does not fit.*heads.text.weight"),
        ("weights.safetensors", in_another_shape, "weights.safetensors: does not fit.*heads.text.weight"),
    ],
)
def test_damaged_files_are_named(saved: Path, file: str, damage: Callable[[Path], object], message: str) -> None:
    damage(saved / file)
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        store.load(saved, CTCTask)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("file", ["metrics.json", "README.md"])
def test_figures_and_card_may_be_missing(saved: Path, file: str) -> None:
    (saved / file).unlink()
    store.load(saved, CTCTask)


class Attack:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (str(self.victim),)


def test_finding_the_model_of_a_training_run(saved: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "seed=1"
    model = shutil.copytree(saved, run / "model")
    assert directory.find(model) == directory.find(run) == model
    with pytest.raises(InputError, match=f"a folder of training runs; use one of them: {run}$"):
        directory.find(run.parent)


def test_nothing_is_unpickled(saved: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    for file in ("weights.safetensors", "config.yaml", "vocabulary.txt", "metrics.json"):
        broken = tmp_path / "broken"
        shutil.copytree(saved, broken, dirs_exist_ok=True)
        (broken / file).write_bytes(pickle.dumps(Attack(victim)))
        if file == "metrics.json":
            store.load(broken, CTCTask)
        else:
            with pytest.raises(InputError, match=file):
                store.load(broken, CTCTask)
        shutil.rmtree(broken)
    assert victim.exists()
