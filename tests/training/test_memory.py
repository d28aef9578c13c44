import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.training.memory import STEPS, KeepFreedMemory


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and only glibc has the settings")
def test_freed_memory_is_kept_for_some_steps() -> None:
    nothing: Any = None
    callback = KeepFreedMemory()
    callback.on_fit_start(nothing, nothing)
    blocks = [np.ones(1 << 20, dtype=np.uint8) for _ in range(200)]
    pinned = np.ones(1 << 10)  # so that not all of it lies at the heap's end
    before = resident()
    del blocks
    callback.on_train_batch_end(nothing, nothing, nothing, nothing, STEPS - 1)
    assert resident() > before - (20 << 20)
    callback.on_train_batch_end(nothing, nothing, nothing, nothing, STEPS)
    assert resident() < before - (150 << 20)
    assert pinned.sum() == 1 << 10
