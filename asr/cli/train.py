"""``asr train RECIPE key=value …``: Hydra composes the configuration, `asr.training.run` trains."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli._errors import print_error
from asr.errors import InputError

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
        str, typer.Argument(metavar="RECIPE", help="A recipe's YAML file, e.g. recipes/digits/ctc.yaml.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change, e.g. trainer.epochs=20 seed=2."),
    ] = None,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Train once for each combination of key=a,b,c.")
    ] = False,
) -> None:
    """Train a model as a recipe describes; the model is written to RUN_DIR/model."""
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
        *map(_hydra_override, overrides or []),
        *(["--multirun"] if multirun else []),
    ]
    main = hydra.main(version_base="1.3", config_path=str(resources.folder("configs")))

    failures: list[InputError] = []

    @main
    def job(config: DictConfig) -> None:
        sys.argv = command  # Lightning starts the other processes of several devices by it
        try:
            run(config)
        except InputError as error:
            failures.append(error)  # a sweep goes on with its other jobs

    command, sys.argv = sys.argv, ["asr train", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors are raised, instead of printed by Hydra
    try:
        with scratch:
            job()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(f"{recipe}: {_explain(error)}") from error
    for failure in failures[:-1]:
        print_error(failure)
    if failures:
        raise failures[-1]


def _hydra_override(override: str) -> str:
    """Return KEY=VALUE in Hydra's grammar, the key by its present name."""
    from asr.models.aliases import present_name

    if not (match := re.fullmatch(r"(\+\+?|~)?([\w.]+)(=.*)?", override, re.DOTALL)):
        return override
    prefix, key, value = match[1] or "", present_name(match[2]), match[3] or ""
    if prefix == "+" and "." in key:
        prefix = "++"  # Hydra's + refuses a setting that is there already, with its default value
    if prefix != "~" and re.fullmatch(r"=[\w./-]+=[\w./=-]*", value):
        value = f'="{value[1:]}"'  # a path such as runs/x/seed=1 needs quotation marks
    return f"{prefix}{key}{value}"


def _explain(error: Exception) -> str:
    """Return the message of an error in composing, with the nearest known name where a name is unknown."""
    from hydra.errors import MissingConfigException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from asr.utils import resources
    from asr.utils.options import check_choice, check_names, did_you_mean

    message, cause = " ".join(str(error).split()), error.__cause__
    missing = error.missing_cfg_file if isinstance(error, MissingConfigException) else None
    try:
        if missing and error.options:  # type: ignore[attr-defined]
            group, _, choice = missing.rpartition("/")
            check_choice(group, choice, error.options)  # type: ignore[attr-defined]
        if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
            group, _, key = str(cause.full_key).rpartition(".")
            known = [str(name) for name in cause.parent_node if name != "hydra"]
            check_names(group or "the configuration", [key], known)
    except InputError as refusal:
        return str(refusal)
    if missing:  # in the defaults of a recipe
        known = [path.stem for path in resources.folder("configs").glob("*.yaml")]
        return message.partition(" Config search path:")[0].rstrip(".") + did_you_mean(missing, known)
    if match := re.match(r"Could not override '([\w/]+)'. No match in the defaults list", message):
        return f"this training has no group of settings {match[1]}"
    return message


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
        config.run_dir = str(Path(config.run_dir, ",".join(changes)))
    # a recipe may have names of its own for interpolation: ${corpus}
    used = "".join(re.findall(r"\$\{[^}]*\}", OmegaConf.to_yaml(config)))
    check_names(
        "the configuration", [key for key in config if not re.search(rf"\b{re.escape(str(key))}\b", used)], NAMES
    )
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from error
    overrides = {override.partition("=")[0].lstrip("+") for override in hydra_config.overrides.task}
    train_(rename_settings(plain, overrides), interactive=sys.stderr.isatty())  # type: ignore[arg-type]
