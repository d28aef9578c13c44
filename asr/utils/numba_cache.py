"""Compile functions with Numba, with a cache on disk where there is room for one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


class _OptionalCache(FunctionCache):
    """Numba's cache on disk, without which a process compiles for itself."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Return what a cached function must agree in; Numba itself looks at the function's own file alone."""
        return (*super()._index_key(sig, codegen), _sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function of a signature; None if the cache lacks it.

        A cache that is damaged, or that an earlier version of the package has left and that names what is no longer
        there, is begun anew. Numba's own method prepares the compiler as well, which takes 0.5 s and is not needed for
        machine code.
        """
        overload = None
        try:
            rtsys.initialize(target_context)
            overload = self._load_overload(sig, target_context)
        except Exception:  # whatever unpickling raises
            try:
                self.flush()
            except OSError:
                self.disable()
        if overload is None:
            _announce_compiling()
        return overload

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled function of a signature, unless the disk is full or not writable any more."""
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


def _refuse_python(compiled: Any, name: str) -> None:
    """Have a function without a wrapper for Python's arguments raise TypeError for them, instead of crash."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise TypeError(f"{name} is for compiled functions alone: it has no_cpython_wrapper")

    compiled._compile_for_args = refuse
    compiled._insert = lambda *overload: None  # or the dispatcher would find what is compiled for another function


@cache
def _announce_compiling() -> None:
    """Tell somebody who waits at a terminal, once, what takes so long."""
    if sys.stderr is not None and sys.stderr.isatty():
        log.info("first use on this machine: compiling, about 15 s")


@cache
def _sources() -> str:
    """Hash the files with compiled functions: these are compiled into each other, across files."""
    digest = sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        if b"numba" in (source := path.read_bytes()):
            digest.update(source)
    return digest.hexdigest()


def njit(*, cache: bool = False, **options: Any) -> Callable[[F], F]:
    """Return `numba.njit`, with a cache on disk where a folder for it can be written, in memory alone elsewhere.

    Numba keeps the cache in ``NUMBA_CACHE_DIR``, beside the source file, or in the user's cache folder. In a read-only
    installation without a home there is none of them; compiling then takes some seconds in each process.

    Args:
        cache: keep the machine code on disk.
        **options: further options of `numba.njit`.
    """

    def compile_(function: F) -> F:
        compiled = numba.njit(**options)(function)
        if options.get("no_cpython_wrapper") and hasattr(compiled, "_insert"):  # not with NUMBA_DISABLE_JIT
            _refuse_python(compiled, function.__qualname__)
        if not cache:
            return compiled
        with suppress(RuntimeError, OSError):  # "cannot cache function: no locator available"
            compiled._cache = _OptionalCache(function)  # what cache=True does, with Numba's own class
        return compiled

    return compile_
