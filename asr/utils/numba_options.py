"""Options of Numba's compiler for inner loops."""

from __future__ import annotations

from typing import Any

from numba.core.cpu import CPUTargetOptions

# For functions that allocate no arrays: they need no reference counts. Counting takes longer than the work of a small
# function, as each array that is passed on or read from a tuple costs an atomic increment and decrement. (Measured on
# the CTC beam search with an n-gram model of labels: 5 times as fast without. Numba's own sorting goes without too.)
KERNEL: dict[str, Any] = {"cache": True, "nogil": True}
if hasattr(CPUTargetOptions, "_nrt"):  # not documented: a version without it counts references, and is slower
    KERNEL["_nrt"] = False

# For small functions that are given tuples of arrays: passing those takes longer than the work.
INLINE_KERNEL: dict[str, Any] = {**KERNEL, "inline": "always"}

# For functions that allocate arrays and are called by the above, whose options they would inherit.
ALLOCATING_KERNEL: dict[str, Any] = {**KERNEL, **({"_nrt": True} if "_nrt" in KERNEL else {})}
