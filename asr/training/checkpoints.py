"""Find and check the checkpoint that a training run resumes from."""

from __future__ import annotations

from pathlib import Path

import torch

from asr.errors import InputError


def find_checkpoint(resume: str | None, run_dir: Path) -> Path | None:
    """The checkpoint to go on from: ``auto`` takes the run's last one if there is one, ``none`` refuses to touch it."""
    last = run_dir / "checkpoints" / "last.ckpt"
    if resume == "auto":
        return last if last.exists() else None
    if resume in (None, "none"):
        if last.exists():
            raise InputError(f"{run_dir} holds a run already: choose resume=auto, or another run_dir")
        return None
    if not Path(resume).is_file():
        raise InputError(f"resume={resume}: no such checkpoint (accepted: auto, none, or a path)")
    return Path(resume)


def check_checkpoint(path: Path, task: torch.nn.Module) -> None:
    """Raise InputError unless the file is a checkpoint of this network."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        found = {name: tuple(value.shape) for name, value in state.items()}
    except Exception as error:  # whatever torch, zipfile and pickle stumble over
        raise InputError(f"{path}: not a checkpoint of a training: {error}") from error
    wanted = {f"task.{name}": tuple(value.shape) for name, value in task.state_dict().items()}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            shapes = f"{name} is {found.get(name)} in it and {wanted.get(name)} in the network"
            raise InputError(f"{path}: does not fit this configuration or its vocabulary: {shapes}")
