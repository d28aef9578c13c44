import subprocess
import sys

import pytest

# in a process of its own: what other tests have freed would be given back as well
KEPT_MEMORY = """
from pathlib import Path
import numpy as np
from asr.training.memory import STEPS, KeepFreedMemory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

callback = KeepFreedMemory()
callback.on_fit_start(None, None)
blocks = [np.ones(1 << 20, dtype=np.uint8) for _ in range(200)]
pinned = np.ones(1 << 10)  # so that not all of it lies at the heap's end
before = resident()
del blocks
callback.on_train_batch_end(None, None, None, None, STEPS - 1)
assert resident() > before - (20 << 20)
callback.on_train_batch_end(None, None, None, None, STEPS)
assert resident() < before - (150 << 20)
assert pinned.sum() == 1 << 10
print("kept, then given back")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and only glibc has the settings")
def test_freed_memory_is_kept_for_some_steps() -> None:
    command = [sys.executable, "-c", KEPT_MEMORY]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "kept, then given back\n"


IN_A_THREAD = """
import ctypes, threading
import torch
from asr.training.memory import share_one_heap

if {shared}:
    share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
places = []
thread = threading.Thread(target=lambda: places.append(libc.malloc(1000)))
thread.start()
thread.join()
heap = next(line for line in open("/proc/self/maps") if line.rstrip().endswith("[heap]"))
begin, end = (int(address, 16) for address in heap.split()[0].split("-"))
print(begin <= places[0] < end)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and only glibc has the settings")
@pytest.mark.parametrize("shared", [True, False])
def test_threads_share_one_heap(shared: bool) -> None:
    command = [sys.executable, "-c", IN_A_THREAD.format(shared=shared)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == str(shared)
