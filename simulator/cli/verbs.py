"""The verbs of the command line; each reads its input, calls one function and shows the answer."""

from typing import Annotated

import typer

from simulator.cli.capture import capture, import_
from simulator.cli.cpu import calibrate, compare
from simulator.cli.demo import demo
from simulator.cli.explain import explain
from simulator.cli.export import export
from simulator.cli.names import list_
from simulator.cli.probe import array, cpu, memory, offload
from simulator.cli.recost import recost
from simulator.cli.report import report
from simulator.cli.results import diff, plot, timeline
from simulator.cli.run import run
from simulator.cli.scenario import scenario
from simulator.cli.show import show
from simulator.cli.sweep import sweep

app = typer.Typer(
    name="trainsoc",
    help="What does training this network cost on a CPU, an accelerator and one shared DRAM?",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
probe_app = typer.Typer(
    help="Measure the simulated machine as a microbenchmark would a real one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(probe_app, name="probe")


def _print_version(show: bool) -> None:
    if show:
        from simulator.code import version_of

        print(f"trainsoc {version_of('trainsoc')}")
        raise typer.Exit


@app.callback()
def trainsoc(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that come before a verb."""


# The help lists them in this order.
app.command()(demo)
app.command(context_settings={"allow_extra_args": True})(capture)
app.command("import")(import_)
app.command()(export)
app.command("list")(list_)
app.command()(show)
app.command()(run)
app.command()(explain)
app.command()(diff)
app.command()(recost)
app.command()(plot)
app.command()(timeline)
app.command()(report)
app.command()(sweep)
app.command()(scenario)
app.command()(calibrate)
app.command()(compare)

probe_app.command()(array)
probe_app.command()(memory)
probe_app.command()(offload)
probe_app.command()(cpu)
