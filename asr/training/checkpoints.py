"""Find and check the checkpoint that a training run resumes from."""

from __future__ import annotations

from pathlib import Path

import torch

from asr.errors import InputError
from asr.utils.state_dict import check_shapes


def find_checkpoint(resume: str | None, run_dir: Path) -> Path | None:
    """Return the checkpoint to resume from, or None to begin.

    Args:
        resume: "auto" for the last checkpoint of ``run_dir`` if there is one; "none" or None to begin; or a path.
        run_dir: folder of the run.

    Raises:
        InputError: the path does not exist, or a run that is to begin has a checkpoint already.
    """
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
    """Raise InputError unless the file is a checkpoint of a network with these parameters."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        found = {name.removeprefix("task."): value for name, value in state.items()}
        difference = check_shapes(found, task.state_dict())
    except Exception as error:  # any error of torch, zipfile or pickle
        raise InputError(f"{path}: not a checkpoint of a training: {error}") from error
    if difference:
        raise InputError(f"{path}: does not fit this configuration or its vocabulary: {difference}")
