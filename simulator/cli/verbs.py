"""The verbs of the command line; each reads its input, calls one function and shows the answer."""

from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer


class Verb(NamedTuple):
    """Where a verb is: a module beside this one, and a function in it; settings of its context."""

    module: str
    function: str
    settings: dict[str, Any] | None = None


# The help lists them in this order.
VERBS = {
    "demo": Verb("demo", "demo"),
    "capture": Verb("capture", "capture", {"allow_extra_args": True}),
    "import": Verb("capture", "import_"),
    "export": Verb("export", "export"),
    "list": Verb("names", "list_"),
    "show": Verb("show", "show"),
    "run": Verb("run", "run"),
    "explain": Verb("explain", "explain"),
    "diff": Verb("results", "diff"),
    "recost": Verb("recost", "recost"),
    "plot": Verb("results", "plot"),
    "timeline": Verb("results", "timeline"),
    "report": Verb("report", "report"),
    "sweep": Verb("sweep", "sweep"),
    "scenario": Verb("scenario", "scenario"),
    "calibrate": Verb("cpu", "calibrate"),
    "compare": Verb("cpu", "compare"),
}
PROBES = {name: Verb("probe", name) for name in ("array", "memory", "offload", "cpu")}
PROBE = "probe"


def app_of(word: str = "") -> typer.Typer:
    """Return the command line with the verb `word` alone, with all verbs if it is none of them.

    A verb imports what it needs, half of the time of a short command: others stay out.
    """
    app = typer.Typer(
        name="trainsoc",
        help="What does training this network cost on a CPU, an accelerator and one shared DRAM?",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(trainsoc)
    is_verb = word in (*VERBS, PROBE)
    if word == PROBE or not is_verb:
        app.add_typer(_probe_app(), name=PROBE)
    for name in [word] if word in VERBS else [] if is_verb else VERBS:
        _add(app, name, VERBS[name])
    return app


def trainsoc(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda show: _print_version(show=show),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Take the options that come before a verb."""


def _probe_app() -> typer.Typer:
    probe_app = typer.Typer(
        help="Measure the simulated machine as a microbenchmark would a real one.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, verb in PROBES.items():
        _add(probe_app, name, verb)
    return probe_app


def _add(app: typer.Typer, name: str, verb: Verb) -> None:
    function = getattr(import_module(f"simulator.cli.{verb.module}"), verb.function)
    app.command(name, context_settings=verb.settings)(function)


def _print_version(*, show: bool) -> None:
    if show:
        from simulator.code import version_of

        print(f"trainsoc {version_of('trainsoc')}")
        raise typer.Exit
