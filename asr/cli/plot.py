"""``asr plot spikes|sensitivity|gates|gradients|curves|confusion``: pictures of what a network does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli._audio_options import Channel, Track, parse_channel
from asr.cli._completion import models
from asr.cli._help import Command, Commands
from asr.cli._inputs import open_inputs
from asr.cli._model_options import Device, Model
from asr.errors import InputError
from asr.models import pretrained
from asr.utils.text_files import read_text

if TYPE_CHECKING:
    from asr.inference.inspection import Inspection
    from asr.output.plots import Sound

app = typer.Typer(
    cls=Commands,
    help="Draw what a network does: its outputs, gates and gradients over time, learning curves, confusions.",
    no_args_is_help=True,
)

Audio = Annotated[str, typer.Argument(metavar="AUDIO", help="Audio file, or - for standard input.")]
Text = Annotated[
    str | None,
    typer.Argument(
        metavar="TEXT", help="Text file with what is spoken, which is aligned.", show_default="what is recognized"
    ),
]
Output = Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")]
Head = Annotated[
    str | None, typer.Option(help="Head whose labels are drawn.", show_default="the one that the model decodes")
]
Start = Annotated[float, typer.Option(min=0.0, metavar="SECONDS", help="Where in the file the picture begins.")]
Duration = Annotated[
    float | None, typer.Option(min=0.01, metavar="SECONDS", help="Duration of the picture.", show_default="to the end")
]


def _inspect(
    audio: str,
    text: str | None,
    output: Path,
    model: str,
    head: str | None,
    start: float,
    duration: float | None,
    channel: str,
    track: int | None,
) -> tuple[Inspection, Sound]:
    """Have a model read a recording, after all arguments have been checked."""
    from asr.models.directory import find
    from asr.output.plots import Sound, check_picture

    check_picture(output)
    channel_number = parse_channel(channel)
    spoken = None if text is None else read_text(text)
    find(model)
    (source,) = open_inputs([audio])
    from asr.inference.inputs import Recording  # imports torch
    from asr.inference.inspection import Inspection

    recording = Recording(source, channel_number, track, start=start, duration=duration)
    inspection = Inspection.load(model, recording, spoken, head)
    return inspection, Sound(inspection.inputs[0].numpy(), inspection.rate, inspection.transcript.words)


@app.command(cls=Command)
def spikes(
    audio: Audio,
    output: Output,
    text: Text = None,
    model: Model = pretrained.DEFAULT,
    head: Head = None,
    start: Start = 0.0,
    duration: Duration = None,
    channel: Channel = "mix",
    track: Track = None,
) -> None:
    """Draw the spectrogram, the words, and the probabilities of the labels; of a transducer its path.

    Words are darker the surer they are. With TEXT they are those of the text, aligned to the recording.
    """
    inspection, sound = _inspect(audio, text, output, model, head, start, duration, channel, track)
    from asr.output.plots import plot_lattice, plot_spikes

    if inspection.task.transducer is not None:
        lattice = inspection.lattice()
        plot_lattice(output, sound, lattice.emissions, lattice.labels, lattice.places.tolist())
        return
    vocabulary = inspection.vocabulary
    names = inspection.names(range(len(vocabulary)))
    plot_spikes(output, sound, inspection.outputs.exp().numpy(), names, vocabulary.blank)


@app.command(cls=Command)
def sensitivity(
    audio: Audio,
    output: Output,
    text: Text = None,
    model: Model = pretrained.DEFAULT,
    head: Head = None,
    label: Annotated[
        str | None,
        typer.Option(help="Label whose log-probability is differentiated.", show_default="the most probable one"),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time of the output, from the begin of the picture.",
            show_default="where the label is most probable, or the peak nearest to the middle",
        ),
    ] = None,
    start: Start = 0.0,
    duration: Duration = None,
    channel: Channel = "mix",
    track: Track = None,
) -> None:
    """Draw the derivative of one output by all input frames: what the network listens to, and how far around.

    As figure 3 of Graves, Mohamed & Hinton (2013).
    """
    inspection, sound = _inspect(audio, text, output, model, head, start, duration, channel, track)
    from asr.output.plots import plot_sensitivity

    found = inspection.sensitivity(label, at)
    plot_sensitivity(output, sound, found.gradient, found.label, found.seconds)
    print(f"{found.label} at {found.seconds:.2f} s: {output}")


@app.command(cls=Command)
def gates(
    audio: Audio,
    output: Output,
    text: Text = None,
    model: Model = pretrained.DEFAULT,
    head: Head = None,
    layer: Annotated[int, typer.Option(min=1, help="Layer of the encoder, from 1, the lowest.")] = 1,
    backward: Annotated[bool, typer.Option("--backward", help="The direction that reads from the end.")] = False,
    start: Start = 0.0,
    duration: Duration = None,
    channel: Channel = "mix",
    track: Track = None,
) -> None:
    """Draw gates, cell state and output of a layer over time, a row for each unit; a cell without gates its output.

    Units that remember longest are on top.
    """
    inspection, sound = _inspect(audio, text, output, model, head, start, duration, channel, track)
    from asr.output.plots import plot_gates

    found = inspection.gates(layer, backward=backward)
    direction = "backward" if backward else "forward"
    cell = type(inspection.task.encoder.rnn.forwards[layer - 1]).__name__
    plot_gates(output, sound, found, f"layer {layer}, {direction} ({cell})")


@app.command(cls=Command)
def gradients(
    output: Output,
    audio: Annotated[
        str | None,
        typer.Argument(
            metavar="AUDIO", help="Audio file that a model reads.", show_default="a new network of each cell"
        ),
    ] = None,
    text: Text = None,
    model: Model = pretrained.DEFAULT,
    head: Head = None,
    cells: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="Without AUDIO: the cells of the networks.", show_default="all cells"),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Without AUDIO: length of the sequence.")] = 100,
    hidden_size: Annotated[int, typer.Option(min=1, help="Without AUDIO: units of a layer.")] = 64,
    layers: Annotated[int, typer.Option(min=1, help="Without AUDIO: number of layers.")] = 1,
    init: Annotated[str, typer.Option(help="Without AUDIO: first weights, see encoder.init.")] = "default",
    forget_bias: Annotated[
        float | None,
        typer.Option(help="Without AUDIO: first bias of forget gates.", show_default="as --init says"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Without AUDIO: of weights and inputs.")] = 1,
    start: Start = 0.0,
    duration: Duration = None,
    channel: Channel = "mix",
    track: Track = None,
) -> None:
    """Draw the norm of the gradient of the loss by the outputs of each layer, over time.

    With AUDIO, of a model whose loss is that of the text, or of what is recognized. Without, of a new network of each
    cell that reads noise, whose loss is at the last step alone: how far back does the gradient reach?
    """
    from asr.output.plots import check_picture, plot_gradient_flow, plot_step_gradients

    if audio is not None:
        inspection, sound = _inspect(audio, text, output, model, head, start, duration, channel, track)
        plot_step_gradients(output, sound, inspection.gradients())
        return
    check_picture(output)
    from asr.modules.cells import CELLS, find_cell
    from asr.modules.gradient_flow import gradient_flow

    names = list(CELLS) if cells is None else [name.strip() for name in cells.split(",") if name.strip()]
    if not names:
        raise InputError(f"--cells {cells!r}: name at least one of {', '.join(CELLS)}")
    for name in names:
        find_cell(name)
    norms = {}
    for name in names:
        norms[name] = gradient_flow(
            name, steps, hidden_size=hidden_size, num_layers=layers, init=init, forget_bias=forget_bias, seed=seed
        ).numpy()
        first, last = norms[name][0, 0], norms[name][0, -1]
        print(f"{name:>16}: {first / last:.1e} of the gradient at the last step is left at the first")
    bias = "" if forget_bias is None else f", forget bias {forget_bias:g}"
    plot_gradient_flow(output, norms, f"new networks of {hidden_size} units, first weights {init}{bias}")


@app.command(cls=Command)
def curves(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Training runs, or folders of several.", autocompletion=models)
    ],
    output: Output,
) -> None:
    """Draw the learning curves of training runs side by side: losses, error rates."""
    from asr.output.plots import check_picture, plot_curves

    check_picture(output)
    from asr.training.curves import find_runs, read_curves  # imports torch and Lightning

    plot_curves(output, {name: read_curves(run) for name, run in find_runs(runs).items()})


@app.command(cls=Command)
def confusion(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Manifests; with phones, for a head of phones.")],
    output: Output,
    model: Model = pretrained.DEFAULT,
    head: Annotated[
        str | None,
        typer.Option(help="Head that is decoded.", show_default="the first one of phones, or else the first"),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Draw which phones, or characters, were recognized as which; print the most frequent confusions."""
    from asr.cli._progress import progress_bar
    from asr.models.directory import find
    from asr.output.plots import check_picture, plot_confusion

    check_picture(output)
    find(model)
    from asr.evaluation.confusion import confuse

    found = confuse(model, data, head=head, device=device, progress=progress_bar)
    title = f"{found.kind.upper()} {100 * found.error_rate:.1f} %, greedy, head {found.head}"
    plot_confusion(output, found.counts, found.labels, title)
    print(title)
    for times, spoken, recognized in found.most_frequent(10):
        print(f"{times:6} {spoken} → {recognized}")
