"""``asr train RECIPE key=value …``: Hydra composes the configuration, `asr.training.run` trains."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli._completion import recipes
from asr.cli._errors import print_error
from asr.cli._overrides import hydra_overrides, override_of
from asr.errors import InputError

FROM_INIT = ("task", "features", "encoder", "augmentation", "decoder")  # groups that a recipe without heads lacks
NAME_BYTES = 255  # longest name of a file
MAX_NAMED = 3  # settings that a message proposes
ELSEWHERE = 0.8  # least share of common characters that makes a setting of another group worth proposing
# what other toolkits call settings
FOREIGN = {
    "learning_rate": "optimizer.lr",
    "warmup": "optimizer.schedule.pct_start",
    "batch_size": "data.utterances data.seconds",
    "num_epochs": "trainer.epochs",
    "max_epochs": "trainer.epochs",
    "patience": "trainer.early_stopping",
    "device": "trainer.accelerator",
    "gpu": "trainer.accelerator",
    "gpus": "trainer.devices",
    "output_dir": "run_dir",
    "checkpoint": "resume",
    "pretrained": "init",
    "layers": "encoder.num_layers",
    "hidden_dim": "encoder.hidden_size",
}
HYDRA = (
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.sweep.subdir=.",
    "hydra.job.chdir=false",
    "hydra.job.config.override_dirname.exclude_keys=[run_dir,resume]",
)


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A recipe's YAML file, e.g. recipes/digits/ctc.yaml.", autocompletion=recipes
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...",
            help="Settings to change, e.g. trainer.epochs=20 seed=2; docs/settings.md lists them.",
        ),
    ] = None,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Train once for each combination of key=a,b,c.")
    ] = False,
) -> None:
    """Train a model as a recipe describes; the model is written to RUN_DIR/model.

    An epoch's line has the losses, the error rates on dev, the share of blanks, the learning rate (lr), the speed, the
    time left, and "best" where the weights are the best yet. RUN_DIR is runs/NAME/seed=SEED. After Ctrl-C resume=auto
    continues.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from asr.utils import resources

    path = resources.recipe(recipe)
    scratch = tempfile.TemporaryDirectory()  # for the multirun.yaml that Hydra writes
    arguments = [
        f"--config-dir={path.parent}",
        f"--config-name={path.stem}",
        *HYDRA,
        f"hydra.sweep.dir='{scratch.name}'",
        *hydra_overrides(overrides or [], multirun),
        *(["--multirun"] if multirun else []),
    ]
    main = hydra.main(version_base="1.3", config_path=str(resources.folder("configs")))

    failures: list[InputError] = []
    running = False

    @main
    def job(config: DictConfig) -> None:
        nonlocal running
        running = True
        sys.argv = command  # Lightning starts the other processes of several devices by it
        try:
            run(config)
        except InputError as error:
            failures.append(error)  # a sweep goes on with its other jobs
        running = False

    command, sys.argv = sys.argv, ["asr train", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors are raised, instead of printed by Hydra
    try:
        with scratch:
            job()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(_explain(error, recipe, overrides or [])) from error
    except Exception as error:
        # in composing, Hydra and OmegaConf raise errors of all kinds for values that they did not expect
        if running or isinstance(error, (InputError, OSError)):
            raise
        raise InputError(_explain(error, recipe, overrides or [])) from error
    for failure in failures[:-1]:
        print_error(failure)
    if failures:
        raise failures[-1]


def _explain(error: Exception, recipe: str, overrides: Sequence[str]) -> str:
    """Return the message of an error in composing; it names the setting, or the recipe where none is to blame.

    Args:
        error: of Hydra, OmegaConf or the YAML reader.
        recipe: the recipe as given.
        overrides: the settings on the command line.
    """
    from hydra.errors import MissingConfigException
    from omegaconf import DictConfig
    from omegaconf.errors import KeyValidationError, OmegaConfBaseException

    from asr.utils import resources
    from asr.utils.options import check_choice, check_names, did_you_mean

    cause = error.__cause__
    message = " ".join((str(error) or str(cause or type(error).__name__)).split())
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    where = f"{recipe}: "
    for wrong in (error, cause):
        if isinstance(wrong, KeyValidationError):
            key = "null" if wrong.key is None else wrong.key
            return f"{where}{wrong.full_key or 'the configuration'}: the key {key} is not a name"
    try:
        if missing and error.options:  # type: ignore[attr-defined]
            group, _, choice = missing.rpartition("/")
            where = "" if override_of(group, overrides) else where
            check_choice(group, choice, error.options)  # type: ignore[attr-defined]
        node = cause.parent_node if isinstance(cause, OmegaConfBaseException) else None
        if isinstance(node, DictConfig) and not node._get_root()._is_none():  # else nothing could be composed yet
            full_key = str(cause.full_key)  # type: ignore[union-attr]
            group, _, key = full_key.rpartition(".")
            given = override_of(full_key, overrides)
            where = f"{given}: " if given else where
            root = node._get_root()
            adapts = isinstance(root, DictConfig) and "heads" not in root.get("task", {"heads": None})
            if adapts and full_key.partition(".")[0] in FROM_INIT:
                raise InputError(f"this recipe takes {full_key} from the model of init; to change it: +{given}")
            known = [str(name) for name in node if name != "hydra"]
            if meant := _meant(root, group, key):
                raise InputError(f"{group or 'the configuration'} has no option {key} (did you mean {meant}?)")
            check_names(group or "the configuration", [key], known)
    except InputError as refusal:
        return f"{where}{refusal}"
    if missing:  # in the defaults of a recipe
        known = [path.stem for path in resources.folder("configs").glob("*.yaml")]
        return where + message.partition(" Config search path:")[0].rstrip(".") + did_you_mean(missing, known)
    if match := re.match(r"Could not override '([\w/]+)'. No match in the defaults list", message):
        return f"{where}this training has no group of settings {match[1]}"
    if match := re.match(r"Could not delete from config. '([\w.]+)' does not exist", message):
        return f"~{match[1]}: the configuration has no such setting"
    # Hydra's advice to add the setting by a + does not help: a setting that nothing reads is refused
    return where + re.sub(r" To append to your config use \S+", "", message)


def _meant(config: Any, group: str, key: str) -> str:
    """Return the settings that a wrong key may mean, or the choice of its group that has it; "" if nothing is near.

    Args:
        config: the configuration as composed.
        group: full name of the node that lacks the key; "" for the configuration itself.
        key: the key's name in it.
    """
    from asr.utils import resources
    from asr.utils.options import SIMILARITY

    names = sorted(set(_settings(config)))
    same = [name for name in names if name.rpartition(".")[2] == key] or [
        name for name in FOREIGN.get(key, "").split() if name in names
    ]
    if same:
        return " or ".join(same) if len(same) <= MAX_NAMED else ""
    files = sorted((resources.folder("configs") / group).glob("*.yaml")) if group else []
    if choices := [file.stem for file in files if re.search(rf"^{re.escape(key)}:", file.read_text("utf-8"), re.M)]:
        return " or ".join(f"{group}={choice} {group}.{key}" for choice in choices)
    siblings = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == group]
    if not get_close_matches(key, siblings, 1, SIMILARITY):
        near = get_close_matches(key, sorted({name.rpartition(".")[2] for name in names}), 1, ELSEWHERE)
        same = [name for name in names if near and name.rpartition(".")[2] == near[0]]
    return " or ".join(same) if len(same) <= MAX_NAMED else ""


def _settings(config: Any, path: str = "") -> Iterator[str]:
    """Yield the full names of all settings, with those options of heads that stand at their defaults."""
    from omegaconf import DictConfig

    from asr.training.schema import Head

    for entry in config:
        name = str(entry)
        full = f"{path}.{name}".lstrip(".")
        value = config._get_node(entry)
        if full in ("hydra", "training"):
            continue
        yield full
        if re.fullmatch(r"task\.heads\.[^.]+", full):
            yield from (f"{full}.{field.name}" for field in fields(Head))
        if isinstance(value, DictConfig) and not value._is_none() and not value._is_missing():
            yield from _settings(value, full)


def run(config: Any) -> None:
    """Train one resolved configuration; in a sweep, each in a folder named after what it changes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from asr.models.aliases import rename_settings
    from asr.training.run import train as train_
    from asr.training.schema import NAMES
    from asr.utils.options import check_names

    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        named = str(config.run_dir).split("/")  # run_dir may be named after the seed
        changes = [part for part in hydra_config.job.override_dirname.replace("/", "_").split(",") if part not in named]
        config.run_dir = str(Path(config.run_dir, folder_name(changes)))
    # a recipe may have names of its own for interpolation, and groups of its own that set one: ${corpus}, corpus=timit
    used = "".join(re.findall(r"\$\{[^}]*\}", OmegaConf.to_yaml(config)))
    own = [
        key for key in config if key in hydra_config.runtime.choices or re.search(rf"\b{re.escape(str(key))}\b", used)
    ]
    check_names("the configuration", [key for key in config if key not in own], NAMES)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from error
    assert isinstance(plain, dict)
    settings: dict[str, Any] = {str(key): value for key, value in plain.items()}
    settings["data"] = _shipped(settings.get("data"))
    overrides = {override.partition("=")[0].lstrip("+") for override in hydra_config.overrides.task}
    train_(rename_settings(settings, overrides), interactive=sys.stderr.isatty())


def folder_name(changes: Sequence[str]) -> str:
    """Return the name of a sweep's folder: the settings that it changes, of which long lists end with a digest."""
    name = ",".join(changes)
    if len(name.encode()) <= NAME_BYTES:
        return name
    return f"{name.encode()[: NAME_BYTES - 17].decode(errors='ignore')},{sha256(name.encode()).hexdigest()[:16]}"


def _shipped(value: Any) -> Any:
    """Return settings with the paths of recipes' data, such as recipes/digits/data, made those of the installation."""
    from asr.utils import resources

    if isinstance(value, dict):
        return {key: _shipped(part) for key, part in value.items()}
    if isinstance(value, list):
        return list(map(_shipped, value))
    return resources.shipped(value) if isinstance(value, str) else value
