"""Import torchaudio, also where its compiled part cannot be loaded.

Its wheel on PyPI is a CUDA build: beside a CPU-only torch the import fails with OSError, although everything the
package uses (``compliance.kaldi``) is plain torch.
"""

from __future__ import annotations

import importlib
import logging
import sys
from types import ModuleType
from typing import Any

LOGGER = logging.getLogger(__name__)


def import_torchaudio() -> ModuleType:
    """Return torchaudio, without its compiled part if that does not load.

    Raises:
        ImportError: torchaudio is not installed.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError as error:
        LOGGER.debug("torchaudio is used without its compiled part: %s", error)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]  # half imported
    sys.modules["torchaudio._extension"] = _disabled_extension()
    return importlib.import_module("torchaudio")


def _disabled_extension() -> ModuleType:
    """Build a stand-in for ``torchaudio._extension`` that tells torchaudio's modules that nothing is compiled."""

    def unavailable(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError("this needs torchaudio's compiled part, which does not load beside this torch")

    extension: Any = ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._IS_ALIGN_AVAILABLE = False
    extension._check_cuda_version = lambda: None
    extension._load_lib = lambda _name: False
    extension.fail_if_no_align = lambda _function: unavailable
    return extension
