"""The command line: one thin module for each command."""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import os
import sys
from contextlib import suppress

import typer

from asr._version import __version__
from asr.cli import lm, plot
from asr.cli._errors import lacks_memory, print_error, print_memory_error, print_os_error, show_tracebacks
from asr.cli._help import Command, Program
from asr.cli._streams import BROKEN_PIPE_STATUS, OUTPUT, prepare_streams
from asr.cli.align import align
from asr.cli.caption import caption
from asr.cli.classify import classify
from asr.cli.compare import compare
from asr.cli.evaluate import evaluate
from asr.cli.export import export
from asr.cli.generate import generate
from asr.cli.info import info
from asr.cli.listen import listen
from asr.cli.prepare import PrepareCommand, prepare
from asr.cli.pronounce import pronounce
from asr.cli.punctuation import punctuation
from asr.cli.score import score
from asr.cli.serve import serve
from asr.cli.train import train
from asr.cli.transcribe import transcribe
from asr.cli.tune import tune
from asr.errors import InputError, Interruption
from asr.utils.escape import escape_surrogates

# Objects made and not freed after which Python looks for cycles among all of them. Importing torch makes a million that
# stay: looking at these again and again took 0.5 s.
COLLECT_AFTER = 200_000

app = typer.Typer(
    cls=Program,
    help="Train, evaluate and run recognizers of speech and other sequences. What a command does: asr COMMAND --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command(cls=PrepareCommand)(prepare)
for command in (
    train,
    evaluate,
    score,
    compare,
    transcribe,
    listen,
    align,
    serve,
    tune,
    punctuation,
    generate,
    classify,
    pronounce,
    caption,
    info,
    export,
):
    app.command(cls=Command)(command)
app.add_typer(lm.app, name="lm")
app.add_typer(plot.app, name="plot")


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(
        False, "--debug", envvar="ASR_DEBUG", help="Print the traceback of an error; before the command's name."
    ),
) -> None:
    if debug:
        show_tracebacks()
    if context.invoked_subcommand != "train":  # which may leave large tensors in cycles
        gc.set_threshold(COLLECT_AFTER)


def main() -> None:
    """Run ``asr``: an error that the user can correct ends with one line on stderr and status 1.

    A reader of the output that stops reading (``| head``) ends it quietly, with status 141.
    """
    # libgomp's threads spin while they wait. Beside another busy process that makes one LSTM step on 2 cores take 11 s
    # and more instead of 0.49 s; with this setting 1.2 s, and 0.51 s on a quiet machine. torch's import reads it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    atexit.register(gc.freeze)  # what is left is not searched for cycles any more, which takes 0.5 s
    prepare_streams()
    try:
        os.getcwd()
    except FileNotFoundError:
        print_error(InputError("the current folder has been deleted; change to another one"))
        sys.exit(1)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("asr").setLevel(logging.INFO)
    try:
        try:
            app(prog_name="asr")
        except SystemExit:
            sys.stdout.flush()  # here, where an error can be reported
            raise
    except InputError as error:
        _flush()
        print_error(error)
        sys.exit(1)
    except OSError as error:
        if error.errno == errno.EPIPE and error.filename == OUTPUT:
            sys.exit(BROKEN_PIPE_STATUS)  # whoever reads the output has read enough
        _flush()
        print_os_error(error)
        sys.exit(1)
    except UnicodeEncodeError as error:
        if escape_surrogates(error.object) == error.object:
            raise
        print_error(
            error, f"{error.object}: this name is not {error.encoding.upper()}, which is needed here; rename it"
        )
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        _flush()
        print_memory_error(error)
        sys.exit(1)
    except Interruption as stopped:
        _flush()
        print(f"asr: {stopped}", file=sys.stderr)
        sys.exit(128 + stopped.number)


def _flush() -> None:
    """Print what was done before an error; an error in that is not the first one."""
    with suppress(OSError, InputError):
        sys.stdout.flush()
