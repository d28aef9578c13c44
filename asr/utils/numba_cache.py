"""Compile functions with Numba, with a cache on disk where there is room for one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., Any])


class _OptionalCache(FunctionCache):
    """Numba's cache on disk, without which a process compiles for itself."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Return what a cached function must agree in; Numba itself looks at the function's own file alone."""
        return (*super()._index_key(sig, codegen), _sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function of a signature; None if the cache lacks it or is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling a damaged file raises
            self.disable()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled function of a signature, unless the disk is full or not writable any more."""
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


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
        if not cache:
            return compiled
        with suppress(RuntimeError, OSError):  # "cannot cache function: no locator available"
            compiled._cache = _OptionalCache(function)  # what cache=True does, with Numba's own class
        return compiled

    return compile_
