"""Compare the names, shapes and types of two state dictionaries."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Describe the first parameter by which two state dictionaries differ.

    Parameters are compared in the order of ``expected``; those that only ``found`` has come last.

    Args:
        found: as read from a file.
        expected: of the network that is to load it.

    Returns:
        Part of an error message that names the parameter and what differs, or None where all agree. Floating-point
        types of any precision agree.
    """
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in found:
            return f"{name} is missing, shape {shape} is expected"
        if tuple(found[name].shape) != shape:
            return f"{name} has shape {tuple(found[name].shape)}, {shape} is expected"
        if found[name].is_floating_point() != tensor.is_floating_point():  # torch would convert without a word
            return f"{name} has type {found[name].dtype}, {tensor.dtype} is expected"
    for name, tensor in found.items():
        if name not in expected:
            return f"{name} of shape {tuple(tensor.shape)} is not a parameter of this network"
    return None
