"""``asr train RECIPE key=value …``: Hydra composes the configuration, `asr.training.run` does the work."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

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
    """Train a model as a recipe says; the result is RUN_DIR/model."""
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
        *map(_quoted, overrides or []),
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
        raise InputError(f"{recipe}: {' '.join(str(error).split())}") from error
    for failure in failures[:-1]:
        print(f"asr: error: {failure}", file=sys.stderr)
    if failures:
        raise failures[-1]


def _quoted(override: str) -> str:
    """KEY=VALUE as Hydra reads it: a path such as runs/x/seed=1 has to stand in quotation marks there."""
    key, _, value = override.partition("=")
    return f'{key}="{value}"' if re.fullmatch(r"[\w./-]+=[\w./=-]*", value) else override


def run(config: Any) -> None:
    """Train one resolved configuration; in a sweep, each in a folder named after what it changes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from asr.training.run import train as train_

    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        there = str(config.run_dir).split("/")  # which may be named after the seed
        changes = [part for part in hydra_config.job.override_dirname.replace("/", "_").split(",") if part not in there]
        config.run_dir = str(Path(config.run_dir, ",".join(changes)))
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from error
    train_(plain, interactive=sys.stderr.isatty())  # type: ignore[arg-type]
