"""The verbs that write a trace: of a training run, a model, or a file of another tool."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.options import with_options
from simulator.cli.script import capture_program, print_notes
from simulator.cli.show import show_trace
from simulator.errors import InputError, nearest

if TYPE_CHECKING:
    from simulator.trace.trace import Trace
    from workloads.capture.program import PythonProgram


@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """The arguments and options of `trainsoc capture`."""

    target: Annotated[
        str | None, typer.Argument(help="a training script, or a recipe's or model's name")
    ] = None
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")]
    module: Annotated[
        str | None, typer.Option("-m", help="a module to run in place of a script, as python -m")
    ] = None
    steps: Annotated[
        str | None,
        typer.Option(
            help="similar steps in a row to record op by op before only some are recorded, "
            "where recording takes long beside the work",
            show_default="1-32, with --time 1-20, then none",
        ),
    ] = None
    time: Annotated[
        bool, typer.Option("--time", help="record how long each op takes, for trainsoc compare")
    ] = False
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=2**20, help="samples per step, for a model; default its own"),
    ] = None
    evaluate: Annotated[
        bool, typer.Option("--eval", help="of a model: an evaluation step in place of training")
    ] = False
    decode: Annotated[
        int | None,
        typer.Option(min=1, max=2**20, help="tokens that a language model generates, one a step"),
    ] = None
    prompt: Annotated[
        int | None,
        typer.Option(min=1, max=2**20, help="tokens before them, in one step", show_default="32"),
    ] = None
    fake: Annotated[
        bool, typer.Option("--fake", help="networks compute shapes and no numbers; as for a model")
    ] = False

    @property
    def name(self) -> str:
        """The script, module, recipe or model."""
        return self.module or str(self.target)


@with_options
def capture(context: typer.Context, options: CaptureOptions) -> None:
    """Record a real training run; the script stays as it is, its arguments follow "--".

    The exit status is the script's. The steps recorded so far are saved however the script ends.

    A run without an optimizer is a run of evaluation steps, one for each call of its network.

    A model has no script: one step of its training is recorded, without computing it, or with
    --decode the tokens that a language model generates: a prefill, then a step each. With --fake
    a script's networks compute nothing either, so no number that it prints of them means anything.

    Example: trainsoc capture train.py -o run.trace -- --epochs 3

    Example: trainsoc capture -m project.train -o run.trace -- --epochs 3

    Example: trainsoc capture lenet_digits -o lenet.trace

    Example: trainsoc capture resnet18 --batch 16 -o resnet18.trace

    Example: trainsoc capture resnet18 --eval --batch 1 -o inference.trace

    Example: trainsoc capture gpt2 --decode 128 -o gpt2.trace

    Example: trainsoc capture lenet_digits --time -o timed.trace

    Example: trainsoc capture train.py --fake -o run.trace
    """
    arguments = context.args
    if options.module is not None:
        arguments = arguments if options.target is None else [options.target, *arguments]
    elif options.target is None:
        raise InputError("capture needs a script (train.py) or a module (-m project.train)")
    capture_to(options, arguments, quiet=False)


def import_(
    form: Annotated[
        str,
        typer.Argument(
            help="format of the file: execution-trace, kineto, scalesim, or auto to detect it"
        ),
    ],
    source: Annotated[Path, typer.Argument(help="the file to import")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")],
) -> None:
    """Turn a file of another tool into a trace.

    execution-trace: from PyTorch's ExecutionTraceObserver, plain or gzip; kineto: Chrome trace of
    PyTorch's profiler, with shapes; scalesim: topology of SCALE-Sim, CSV.

    Example: trainsoc import auto trace.json -o run.trace

    Example: trainsoc import execution-trace et.json.gz -o run.trace

    Example: trainsoc import kineto profile.json -o run.trace

    Example: trainsoc import scalesim resnet18.csv -o resnet18.trace
    """
    from simulator.trace.importers import IMPORTERS
    from simulator.trace.storage import save_trace

    if form not in IMPORTERS:
        raise InputError(f"import {form}: unknown format; {nearest(form, IMPORTERS)}")
    trace = IMPORTERS[form](source)
    save_trace(trace, out)
    print_notes(trace.origin)
    show_trace(trace, noted=True)


def capture_to(options: CaptureOptions, arguments: list[str], *, quiet: bool = True) -> None:
    """Write the trace of a script, module, recipe or model, and show it unless `quiet`.

    `arguments` are those of the script. Raises InputError for options that do not fit the target,
    without torch, and if the trace cannot be written. A script that fails ends the program with
    its exit status.
    """
    try:
        from workloads.models import FAMILIES, LANGUAGE_MODELS, MODELS
    except ModuleNotFoundError as error:
        raise InputError(f"capture needs {error.name}: pip install 'trainsoc[capture]'") from None
    from simulator.trace.storage import check_writable, rescue_trace

    script = _program(options, arguments, [*MODELS, *LANGUAGE_MODELS, *FAMILIES])
    _check(options, arguments, is_model=script is None)
    with suppress(OSError):
        options.out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(options.out)
    if script is not None:
        depth = _last_step(options.steps or ("1-20" if options.time else "1-32"))
        capture_program(
            script, options.out, depth, time=options.time, fake=options.fake, quiet=quiet
        )
        return
    trace = _of_model(options)
    rescue_trace(trace, options.out)
    if not quiet:
        show_trace(trace, noted=True)


def _of_model(options: CaptureOptions) -> "Trace":
    """Return the trace of a model: what it generates, or one step of it."""
    from workloads.models import Generation, capture_language_model, capture_model

    if options.decode is None:
        return capture_model(options.name, options.batch, evaluate=options.evaluate)
    request = Generation(options.decode, options.prompt or 32, options.batch or 1)
    return capture_language_model(options.name, request)


def _program(
    options: CaptureOptions, arguments: list[str], models: list[str]
) -> "PythonProgram | None":
    """Return the program to run, None for a model."""
    from workloads.capture.program import PythonProgram

    if options.module is not None:
        return PythonProgram(options.module, tuple(arguments), module=True)
    if options.name.partition(":")[0] in models:
        return None
    return PythonProgram(str(_script(options.name, models)), tuple(arguments))


def _check(options: CaptureOptions, arguments: list[str], *, is_model: bool) -> None:
    """Raise InputError for options that the target does not take."""
    name, steps, batch = options.name, options.steps, options.batch
    only_models = {"--batch": batch, "--decode": options.decode, "--prompt": options.prompt}
    first = next((key for key, value in only_models.items() if value is not None), None)
    if is_model and arguments:
        raise InputError(f"{name} is a model: it takes --batch and no argument {arguments[0]}")
    if is_model and options.time:
        raise InputError(f"--time: {name} is a model, captured by its shapes without running it")
    if is_model and steps is not None:
        raise InputError(f"--steps {steps}: {name} is a model, of which one step is recorded")
    if options.time and options.fake:
        raise InputError("--time: a fake capture computes nothing whose time could be measured")
    if not is_model and (first or options.evaluate):
        option = f"{first} {only_models[first]}" if first else "--eval"
        raise InputError(f"{option}: {name} is no model; its own arguments follow --")
    if options.prompt is not None and options.decode is None:
        raise InputError(f"--prompt {options.prompt}: say with --decode how many tokens follow it")
    if options.evaluate and options.decode is not None:
        raise InputError("--eval and --decode: a model generates, or it evaluates once; give one")


def _script(target: str, models: list[str]) -> Path:
    from workloads.recipes import RECIPES, STUDIES, recipe_path

    script = recipe_path(target) or Path(target)
    if not script.exists():
        if script.suffix == ".py":
            raise InputError(f"capture {target}: there is no such file; check the path")
        names = f"recipes: {', '.join((*RECIPES, *STUDIES))}; models: {', '.join(models)}"
        hint = nearest(target, (*RECIPES, *STUDIES, *models), names)
        raise InputError(f"capture {target}: no such script, recipe or model; {hint}")
    return script


def _last_step(steps: str) -> int:
    match = re.fullmatch(r"(?:1-)?([1-9][0-9]{0,5})", steps)
    if match is None:
        raise InputError(f"--steps {steps}: write it as 1-32, from the first step on")
    return int(match[1])
