"""`asr train`: recipes and overrides, sweeps, refusals, and the status that a signal leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.cli._overrides import hydra_overrides
from asr.utils import resources

Command = Callable[..., Any]


@pytest.fixture
def recipe(tmp_path: Path, tone_run: Path) -> Path:
    corpus = tone_run / "corpus"
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"""
defaults: [train, _self_]
name: tiny
run_dir: {tmp_path}/runs/tiny
data: {{train: {corpus}/train.jsonl, dev: {corpus}/train.jsonl, seconds: 3}}
features: {{sample_rate: 8000, num_mels: 20, energy: false, deltas: 0}}
encoder: {{hidden_size: 8, num_layers: 1, stack: 2, stride: 2}}
trainer: {{epochs: 2, accelerator: cpu}}
"""
    )
    return path


def test_train(asr: Command, recipe: Path, tmp_path: Path) -> None:
    outcome = asr("train", recipe, "trainer.epochs=1", "encoder=lstm", "encoder.hidden_size=6")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("epoch 1/1 | loss")
    saved = (tmp_path / "runs" / "tiny" / "model" / "config.yaml").read_text()
    assert "hidden_size: 6" in saved and "bidirectional: false" in saved
    asr("train", recipe).check_refusal("holds a run already: choose resume=auto")
    assert asr("train", recipe, "trainer.epochs=1", "encoder=lstm", "encoder.hidden_size=6", "resume=auto").status == 0
    for path in ("none.ckpt", "runs/tiny/seed=2/none.ckpt"):  # a sweep's folders have an = in their names
        asr("train", recipe, f"resume={path}").check_refusal(f"resume={path}: no such checkpoint")


def test_sweep(asr: Command, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outcome = asr("train", "-m", recipe, "trainer.epochs=1", "seed=1,x,2", f"run_dir={tmp_path}/sweep")
    assert outcome.status == 1
    assert "asr: error: seed='x': expected a whole number" in outcome.err
    folders = {path.parent.name for path in (tmp_path / "sweep").glob("*/model")}
    assert folders == {"seed=1,trainer.epochs=1", "seed=2,trainer.epochs=1"}
    assert asr("train", "-m", recipe, "trainer.epochs=1", "seed=3", f"run_dir={tmp_path}/named/seed=3").status == 0
    assert (tmp_path / "named" / "seed=3" / "trainer.epochs=1" / "model").is_dir()  # seed=3 is not said twice
    assert not list((tmp_path / "here").iterdir())  # nothing is left where it was started


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "none.yaml: no such recipe; there are recipes/"),
        (["{recipe}", "foo=1"], "the configuration has no option foo; it has .*name"),
        (["{recipe}", "sede=1"], r"sede=1: the configuration has no option sede \(did you mean seed\?\)"),
        (["{recipe}", "trainr.epochs=1"], r"has no option trainr \(did you mean trainer\?\)"),
        (["{recipe}", "encoder.hidden=1"], r"encoder has no option hidden \(did you mean hidden_size\?\); it has type"),
        (["{recipe}", "encoder.type=rnm"], r"encoder: type='rnm' is not one of rnn \(did you mean rnn\?\)"),
        (["{recipe}", "label_rnn=lstm"], "this training has no group of settings label_rnn"),
        (["{recipe}", "~optimizer"], "the configuration has no group optimizer"),
        (["{recipe}", "+trainerr={{epochs: 3}}"], r"has no option trainerr \(did you mean trainer\?\)"),
        (["{recipe}", "task.heads.text.kind=phone"], r"task.heads.text.kind='phone' is not one of .*mean phones\?"),
        (["{recipe}", "task.heads.text.kind=words", "task.heads.text.alphabet=ab"], "text has no option alphabet"),
        (["{recipe}", "data.too_short=skp"], r"data.too_short='skp' is not one of skip, error \(did you mean skip\?\)"),
        (["{recipe}", "+encoder.foo=1"], "encoder: rnn has no option foo; it has hidden_size"),
        (
            ["{recipe}", "encoder=none"],
            "error: encoder='none' is not one of blstm, conv_blstm, lstm$",
        ),
        (["{recipe}", "trainer.epochs"], "trainer.epochs: a setting needs a value: trainer.epochs=VALUE"),
        (["{recipe}", "trainer epochs=1"], "trainer epochs=1: not a setting; use KEY=VALUE"),
        (["{recipe}", "trainer.epochs=["], r"trainer.epochs='\[': expected a whole number of at least 1"),
        (["{recipe}", "trainer.epoch=1"], r"trainer has no option epoch \(did you mean epochs\?\)"),
        (["{recipe}", "task.unknown=skip"], r"task has no option unknown \(did you mean task.heads.text.unknown\?\)$"),
        (["{recipe}", "epoch=1"], r"has no option epoch \(did you mean trainer.epochs\?\)$"),
        (["{recipe}", "encoder.lr=1"], r"encoder has no option lr \(did you mean optimizer.lr\?\)$"),
        (["{recipe}", "learning_rate=1"], r"has no option learning_rate \(did you mean optimizer.lr\?\)$"),
        (["{recipe}", "batch_size=1"], r"\(did you mean data.utterances or data.seconds\?\)$"),
        (["{recipe}", "decoder.beam=3"], r"decoder has no option beam \(did you mean decoder=beam decoder.beam\?\)$"),
        (["{recipe}", "~data.nix"], "~data.nix: the configuration has no such setting$"),
        (["{recipe}", "trainer.epochs=1,2"], "Ambiguous value for argument 'trainer.epochs=1,2'"),
        (["{recipe}", "trainer.epochs=abc"], "trainer.epochs='abc': expected a whole number of at least 1"),
        (["{recipe}", "features.energy=maybe"], "features.energy='maybe': expected true or false"),
        (["{recipe}", "encoder.hidden_size=abc"], "encoder.hidden_size='abc': expected a whole number"),
        (["{recipe}", "optimizer.lr=-1"], "optimizer: adamw: Invalid learning rate: -1"),
        (["{recipe}", "data.train=none.jsonl"], "none.jsonl: no such manifest"),
        (["{recipe}", "data.train=???"], "Missing mandatory value: train"),
        (["{recipe}", "name=${{nope}}"], "Interpolation key 'nope' not found"),
        (["{recipe}", "seed="], "seed=.*: expected a whole number"),
    ],
)
def test_train_refuses(arguments: list[str], message: str, asr: Command, recipe: Path) -> None:
    given = [argument.format(recipe=recipe) for argument in arguments]
    asr("train", *given).check_refusal(message)


def test_recipes_that_are_no_yaml(asr: Command, recipe: Path) -> None:
    recipe.write_text("a: [")
    asr("train", recipe).check_refusal("tiny.yaml: while parsing")
    recipe.write_text("defaults: [trian, _self_]")
    asr("train", recipe).check_refusal(r"tiny.yaml: In 'tiny': Could not .*trian' \(did you mean train\?\)$")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 2", "epoch: 2", r"trainer has no option epoch \(did you mean epochs\?\); it has epochs, max_minutes"),
        ("seconds: 3", "second: 3", r"data has no option second \(did you mean seconds\?\); it has train, dev"),
        ("hidden_size: 8", "hidden: 8", r"encoder: rnn has no option hidden \(did you mean hidden_size\?\)"),
        ("name: tiny", "task: {heads: {text: {normalisation: none}}}", "task.heads.text has no option normalisation"),
        ("name: tiny", "name: tiny\nsede: 2", r"the configuration has no option sede \(did you mean seed\?\)"),
        ("name: tiny", "name: tiny\ntrainr: {epochs: 2}", r"has no option trainr \(did you mean trainer\?\)"),
    ],
)
def test_a_setting_that_nothing_reads_is_no_setting(
    old: str, new: str, message: str, asr: Command, recipe: Path
) -> None:
    """Hydra refuses unknown keys on the command line only."""
    recipe.write_text(recipe.read_text().replace(old, new))
    asr("train", recipe).check_refusal(message)


def test_former_names_of_settings(asr: Command, recipe: Path) -> None:
    asr("train", recipe, "trainer.minutes=-1").check_refusal("trainer.max_minutes=-1: expected a number of at least 0")
    recipe.write_text(recipe.read_text().replace("epochs: 2", "epochs: 2, minutes: -2"))
    asr("train", recipe).check_refusal("trainer.max_minutes=-2: expected")
    asr("train", recipe, "trainer.minutes=-3").check_refusal("trainer.max_minutes=-3: expected")


def test_names_of_a_recipes_own(asr: Command, recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("name: tiny", "corpus: x\nname: tiny_${corpus}\nseed: -1"))
    asr("train", recipe).check_refusal("seed=-1: expected a whole number of at least 0")


def test_the_name_of_a_recipe_with_groups_of_its_own_can_be_changed(asr: Command) -> None:
    """The group sets ${corpus}, which only the name used."""
    outcome = asr("train", "recipes/timit/ctc-1l-250h.yaml", "name=other", "data.train=none.jsonl.gz")
    assert "none.jsonl.gz: " in outcome.err and "no option" not in outcome.err


def test_an_interpolation_that_cannot_be_read(asr: Command, recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("name: tiny", "name: ${a.b_${c}}"))
    asr("train", recipe).check_refusal(r"\.yaml: .*token recognition error")


def test_a_setting_with_a_default_may_be_added(asr: Command, recipe: Path) -> None:
    """Commands for earlier versions, in which it was not in the configuration, have a + before it."""
    asr("train", recipe, "+encoder.cell=lsmt").check_refusal(r"cell='lsmt' is not one of tanh, relu, lstm")


def command(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, Path(sys.executable).with_name("asr"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        **options,
    )


def until_epoch(process: subprocess.Popen[str], count: int) -> str:
    """The first line of an epoch, when ``count`` have been printed."""
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found += [line] * line.startswith("epoch")
        if len(found) == count:
            return found[0]
    raise AssertionError(f"ended too soon: {process.communicate()[1]}")


def test_a_signal_ends_training_with_its_status(recipe: Path, tmp_path: Path) -> None:
    started = {}
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        run_dir = tmp_path / f"run{status}"
        started[status] = number, run_dir, command("train", recipe, "trainer.epochs=100000", f"run_dir={run_dir}")
    for status, (number, run_dir, process) in started.items():
        until_epoch(process, 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, err
        last = run_dir / "checkpoints" / "last.ckpt"
        assert last.is_file() and not (run_dir / "model").exists()
        assert err.splitlines()[-1] == f"asr: stopped by signal {number:d}, saved {last}; continue with resume=auto"
        assert "Traceback" not in err + out


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(recipe: Path) -> None:
    """What an epoch prints comes before its checkpoint, so a killed run may lose the one it printed last."""
    epoch = 0
    for _ in range(3):
        process = command("train", recipe, "trainer.epochs=100000", "resume=auto")
        first = int(until_epoch(process, 3).split()[1].split("/")[0])
        process.kill()
        assert first > 1 or epoch == 0
        assert epoch <= first
        epoch = first + 2
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null: 1", "{recipe}: the configuration: the key null is not a name"),
        ("encoder: {null: 1}", "{recipe}: encoder: the key null is not a name"),
        ("encoder: {hidden_size: [{~: 1}]}", "{recipe}: encoder.hidden_size.*: the key null is not a name"),
        ("encoder: {2024-01-31: 1}", "rnn has no option 2024-01-31; it has"),
        ("? [a]\n: 1", "{recipe}: .* unhashable key .* line 2, column 3"),
        ("encoder: {true: 1}", "rnn has no option True; it has"),
        ("1: 2", "the configuration has no option 1; it has"),
    ],
)
def test_keys_that_are_no_names(text: str, message: str, asr: Command, recipe: Path, tone_run: Path) -> None:
    recipe.write_text(f"defaults: [train, _self_]\n{text}\n")
    train = f"{tone_run}/corpus/train.jsonl"
    outcome = asr("train", recipe, f"run_dir={recipe.parent}/run", f"data.train={train}", f"data.dev={train}")
    outcome.check_refusal(message.format(recipe=recipe))


def test_several_processes_print_each_line_once(recipe: Path, tone_run: Path, tmp_path: Path) -> None:
    test = f"data.test={tone_run}/corpus/train.jsonl"
    out, err = command("train", recipe, "trainer.epochs=1", "trainer.devices=2", test).communicate(timeout=300)
    first = ["train", "dev", "network", "head text", "the weights of epoch 1 of 1 are kept"]
    last = ["dev train, head text", "test train, head text", "model"]
    assert [line.split(":")[0] for line in err.splitlines()] == first + last
    assert err.splitlines()[-1] == f"model: {tmp_path}/runs/tiny/model"
    assert re.findall("^epoch .*?[|]", out, re.MULTILINE) == ["epoch 1/1 |"]


@pytest.mark.slow
def test_several_processes_train_together_and_stop_together(recipe: Path, tmp_path: Path) -> None:
    devices = ["trainer.devices=2", "trainer.strategy=ddp"]
    process = command("train", recipe, "trainer.epochs=100000", *devices)
    until_epoch(process, 2)
    process.terminate()  # the first of them only
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert err.count("asr: stopped by signal 15") == 2
    assert (tmp_path / "runs" / "tiny" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize(
    "path",
    ["日本/t", "ünï/t", "com,ma/t", "par(en)/t", "br[ack]/t", "q'uo/t", "ti~lde/t", "ha#sh/t", "amp&/t", "a=b,c d/t",
     'd"q/t', "bs\\x/t", "~/t", "$x/t", "{x}/t", "a: b/t", "100%/t", "*?/t", "-d/t", "x{y/t", " tr ail/t", 'a"b\\']
)  # fmt: skip
def test_a_path_is_taken_as_it_is_typed(path: str, asr: Command, recipe: Path) -> None:
    asr("train", recipe, f"data.train={path}.jsonl.gz").check_refusal(
        f"error: {re.escape(path + '.jsonl.gz')}: no such manifest"
    )


@pytest.mark.parametrize(
    ("override", "multirun", "expected"),
    [
        ("run_dir=2024", False, ['run_dir="2024"']),
        ("init=null", False, ["init=null"]),
        ("trainer.epochs=1,2", False, ["trainer.epochs=1,2"]),
        ("seed=1,2", True, ["seed=1,2"]),
        ("run_dir=a,b", True, ["run_dir=a,b"]),
        ("run_dir=ü,b c,d", True, ['run_dir="ü",b c,d']),
        ('data.train="a,b"', True, ['data.train="a,b"']),
        ("+encoder.cell=gru", False, ["++encoder.cell=gru"]),
        ("~optimizer", False, ["~optimizer"]),
        ("data.rows=3", False, ["data.batch_size=3"]),
        ("data.train=[a,b]", False, ["data.train=[a,b]"]),
        ("data.train={a: ü/x, b: [c, d]}", False, ["data.train=null", '++data.train={a:"ü/x",b:["c","d"]}']),
        ("++data.train={a:x}", False, ['++data.train={a:"x"}']),
        ("trainer={epochs: 3}", False, ["trainer={epochs: 3}"]),
    ],
)
def test_settings_in_hydras_grammar(override: str, multirun: bool, expected: list[str]) -> None:
    assert hydra_overrides([override], multirun) == expected


def test_a_mapping_replaces_that_of_the_recipe(asr: Command, recipe: Path, tone_run: Path) -> None:
    train = f"{tone_run}/corpus/train.jsonl"
    recipe.write_text(recipe.read_text().replace(f"train: {train}", "train: {one: none.jsonl}"))
    asr("train", recipe).check_refusal("none.jsonl: no such manifest")
    assert asr("train", recipe, f"data.train={{mini: {train}}}", "trainer.epochs=1").status == 0


def test_a_mapping_where_the_recipe_has_none(asr: Command, recipe: Path) -> None:
    asr("train", recipe, "init={encoder: none}").check_refusal("none: no such model")


def test_data_of_a_shipped_recipe_is_found_from_anywhere(
    asr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = "recipes/digits/data/dev.jsonl.gz"
    assert Path(resources.shipped(path)).is_file() and resources.shipped("recipes/none") == "recipes/none"
    asr("train", "recipes/digits/ctc.yaml", "seed=-1").check_refusal("seed=-1: expected")
    asr("train", "recipes/digits/ctc.yaml", "data.dev=none.jsonl").check_refusal("none.jsonl: no such manifest")


def test_folders_of_sweeps_have_names_that_fit_and_differ() -> None:
    from asr.cli.train import folder_name

    assert folder_name(["optimizer.lr=0.001", "seed=2"]) == "optimizer.lr=0.001,seed=2"
    long = [f"data.train=ü{'/very/long' * 40}/{number}" for number in range(2)]
    names = [folder_name([part]) for part in long]
    assert len(set(names)) == 2 and all(len(name.encode()) <= 255 and name.startswith("data.train=ü") for name in names)
