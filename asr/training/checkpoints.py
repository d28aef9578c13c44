"""Write checkpoints; find and check the one that a training run resumes from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from asr.errors import InputError
from asr.utils.atomic import name_file
from asr.utils.state_dict import check_shapes

CHOSEN = "chosen.ckpt"  # of a first training that is at its end


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so that the one before is whole until the new one is.

    Lightning's own class writes to the folder for temporary files, which may be too small, and copies from there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint, and missing folders.

        Raises:
            OSError: it cannot be written; it is named.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch.save to a file would raise a RuntimeError where the disk is full
        torch.save(checkpoint, content)
        temporary = path.with_name(f".{path.name}.tmp")  # that of a process that was killed is overwritten
        with name_file(path):
            try:
                with open(temporary, "wb") as file:
                    file.write(content.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())  # before the name of the old one leads to the new one
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


def find_checkpoint(resume: str | None, run_dir: Path, first_dir: Path | None = None) -> Path | None:
    """Return the checkpoint to resume from, or None to begin.

    Args:
        resume: "auto" for the last checkpoint of ``run_dir`` if there is one; "none" or None to begin; or a path.
        run_dir: folder of the run.
        first_dir: folder of a training that comes before the run's own, if there is one. Its last checkpoint is resumed
            from where the run has none, and before that the one that `end_first` has left.

    Raises:
        InputError: the path does not exist, or a run that is to begin has a checkpoint already.
    """
    possible = [run_dir / "checkpoints" / "last.ckpt"]
    if first_dir is not None:
        possible += [first_dir / "checkpoints" / name for name in (CHOSEN, "last.ckpt")]
    existing = [path for path in possible if path.exists()]
    if resume == "auto":
        return existing[0] if existing else None
    if resume in (None, "none"):
        if existing:
            raise InputError(f"{run_dir} holds a run already: choose resume=auto, or another run_dir")
        return None
    if not Path(resume).is_file():
        raise InputError(f"resume={resume}: no such checkpoint (accepted: auto, none, or a path)")
    return Path(resume)


def end_first(folder: Path) -> Path:
    """Mark a training as one that is at its end: its best checkpoint is renamed to `CHOSEN`, and returned."""
    chosen = folder / "checkpoints" / CHOSEN
    os.replace(folder / "checkpoints" / "best.ckpt", chosen)
    (folder / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
    return chosen


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
