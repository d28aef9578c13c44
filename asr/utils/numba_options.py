"""Options of Numba's compiler for inner loops."""

from __future__ import annotations

from typing import Any

from numba.core.cpu import CPUTargetOptions

# For functions that allocate no arrays: they need no reference counts. Counting takes longer than the work of a small
# function, as each array that is passed on or read from a tuple costs an atomic increment and decrement. (Measured on
# the CTC beam search with an n-gram model of labels: 5 times as fast without. Numba's own sorting goes without too.)
# Nothing is passed on as a C function: a wrapper for that takes time to compile, and the first use waits for it.
KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True}
if hasattr(CPUTargetOptions, "_nrt"):  # not documented: a version without it counts references, and is slower
    KERNEL["_nrt"] = False

# For small functions that are given tuples of arrays: passing those takes longer than the work.
INLINE_KERNEL: dict[str, Any] = {**KERNEL, "inline": "always"}

# For functions that compiled functions alone call: a wrapper that makes Python's arguments theirs takes as long to
# compile as the function itself. They are part of the callers' machine code and need no cache of their own.
INNER_KERNEL: dict[str, Any] = {**KERNEL, "cache": False, "no_cpython_wrapper": True}
