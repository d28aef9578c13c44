"""Pictures of results and of the inside of networks, drawn with matplotlib and librosa (the extra ``plot``)."""

from __future__ import annotations

from asr.output.plots.figure import check_picture
from asr.output.plots.inside import Sound, plot_gates, plot_lattice, plot_sensitivity, plot_spikes, plot_step_gradients
from asr.output.plots.results import plot_confusion, plot_curves, plot_gradient_flow, plot_tuning

__all__ = [
    "Sound",
    "check_picture",
    "plot_confusion",
    "plot_curves",
    "plot_gates",
    "plot_gradient_flow",
    "plot_lattice",
    "plot_sensitivity",
    "plot_spikes",
    "plot_step_gradients",
    "plot_tuning",
]
