"""A model directory gives the model back, or says which of its files is at fault."""

from __future__ import annotations

import copy
import os
import pickle
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
    task, loaded = make_task().eval(), store.load(saved)
    assert not loaded.training
    assert loaded.vocabularies == task.vocabularies and list(loaded.vocabularies) == ["text", "phones"]
    assert loaded.weights == {"text": 1.0, "phones": 0.5}
    inputs, lengths = torch.randn(2, 6000), torch.tensor([6000, 1234])
    found, frames = loaded(inputs, lengths)
    expected, expected_frames = task(inputs, lengths)
    assert torch.equal(frames, expected_frames)
    assert all(torch.equal(found[head], expected[head]) for head in expected)
    assert directory.read_config(saved)["training"] == {"seed": 7}
    assert (saved / "README.md").read_text() == "# card\n"
    assert {path.name for path in saved.iterdir()} == {
        "config.yaml", "vocabulary.txt", "vocabulary.phones.txt", "weights.safetensors", "metrics.json", "README.md"
    }  # fmt: skip


def test_a_second_round_trip_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    config = {key: value for key, value in directory.read_config(saved).items() if key != "asr_version"}
    store.save(store.load(saved), tmp_path / "again", config, {"dev": {"wer": 0.5}}, "# card\n")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_saving_replaces_the_whole_directory(saved: Path) -> None:
    (saved / "stale.txt").write_text("")
    store.save(make_task(), saved, CONFIG)
    assert not (saved / "stale.txt").exists()
    assert os.stat(saved).st_mode & 0o777 == 0o755


def test_a_save_that_fails_leaves_what_was_there(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(yaml.YAMLError):
        store.save(make_task(), saved, CONFIG | {"training": object()})
    assert before == {path.name: path.read_bytes() for path in saved.iterdir()}
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


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
def test_what_is_damaged_is_named(saved: Path, file: str, damage: Callable[[Path], object], message: str) -> None:
    damage(saved / file)
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        store.load(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("file", ["metrics.json", "README.md"])
def test_what_is_only_for_people_may_be_missing(saved: Path, file: str) -> None:
    (saved / file).unlink()
    store.load(saved)


class Attack:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (str(self.victim),)


def test_a_training_run_means_its_model_and_a_folder_of_runs_is_refused(saved: Path, tmp_path: Path) -> None:
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
            store.load(broken)
        else:
            with pytest.raises(InputError, match=file):
                store.load(broken)
        shutil.rmtree(broken)
    assert victim.exists()
