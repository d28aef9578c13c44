"""``asr train RECIPE key=value …``: Hydra composes the configuration, `asr.training.run` does the work."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from asr.errors import InputError, Interruption

HYDRA = (
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
    "hydra.output_subdir=null",
    "hydra.run.dir=.",
    "hydra.sweep.dir=.",
    "hydra.sweep.subdir=.",
    "hydra.job.chdir=false",
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
    from omegaconf import DictConfig

    from asr import shared_files

    path = shared_files.recipe(recipe)
    arguments = [
        f"--config-dir={path.parent}",
        f"--config-name={path.stem}",
        *HYDRA,
        *(overrides or []),
        *(["--multirun"] if multirun else []),
    ]
    main = hydra.main(version_base="1.3", config_path=str(shared_files.folder("configs")))

    failures: list[Exception] = []

    @main
    def job(config: DictConfig) -> None:
        try:
            run(config)
        except (InputError, Interruption) as error:
            # Hydra would print a traceback; a sweep goes on with its other jobs
            failures.append(error)
            if isinstance(error, Interruption):
                raise KeyboardInterrupt from error

    sys.argv = ["asr train", *arguments]
    try:
        job()
    except KeyboardInterrupt:
        if not failures:
            raise
    for error in failures:
        raise error


def run(config: Any) -> None:
    """Train one resolved configuration; in a sweep, each in a folder named after what it changes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from asr.training.run import train as train_

    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        changes = hydra_config.job.override_dirname.replace("/", "_")
        config.run_dir = f"{config.run_dir}/{changes}"
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    train_(plain, interactive=sys.stderr.isatty())  # type: ignore[arg-type]
