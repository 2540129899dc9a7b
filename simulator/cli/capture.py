"""The verbs that write a trace: of a training run, a model, or a file of another tool."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.script import capture_program, tell
from simulator.cli.show import show_trace
from simulator.errors import InputError


def capture(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="a training script, or a recipe's or model's name")
    ] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")],
    module: Annotated[
        str | None, typer.Option("-m", help="a module to run in place of a script, as python -m")
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help="how many steps alike in a row to look at op by op before only some are, "
            "where looking takes long beside the work",
            show_default="1-32, with --time 1-20, then none",
        ),
    ] = None,
    time: Annotated[
        bool, typer.Option("--time", help="record how long each op takes, for trainsoc compare")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=2**20, help="samples per step, for a model; default its own"),
    ] = None,
    fake: Annotated[
        bool, typer.Option("--fake", help="networks compute shapes and no numbers; as for a model")
    ] = False,
) -> None:
    """Record a real training run; the script stays as it is, its arguments follow "--".

    The exit status is the script's; what was recorded is saved, however the script ends.

    A model has no script: one step of its training is recorded, without computing it. With --fake
    a script's networks compute nothing either: no number that it prints of them means anything.

    Example: trainsoc capture train.py -o run.trace -- --epochs 3

    Example: trainsoc capture -m project.train -o run.trace -- --epochs 3

    Example: trainsoc capture lenet_digits -o lenet.trace

    Example: trainsoc capture resnet18 --batch 16 -o resnet18.trace

    Example: trainsoc capture lenet_digits --time -o timed.trace

    Example: trainsoc capture train.py --fake -o run.trace
    """
    arguments = context.args
    if module is not None:
        arguments = arguments if target is None else [target, *arguments]
    elif target is None:
        raise InputError("capture needs a script (train.py) or a module (-m project.train)")
    name = module or str(target)
    capture_to(
        out, name, steps, arguments, batch,
        time=time, fake=fake, module=module is not None, quiet=False,
    )  # fmt: skip


def import_(
    form: Annotated[
        str,
        typer.Argument(
            help="what the file is: execution-trace, kineto, scalesim, or auto to find out"
        ),
    ],
    source: Annotated[Path, typer.Argument(help="the file to import")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")],
) -> None:
    """Turn a file of another tool into a trace.

    execution-trace: what PyTorch's ExecutionTraceObserver writes, plain or gzip; kineto: the
    Chrome trace of PyTorch's profiler, with shapes; scalesim: a topology of SCALE-Sim, CSV.

    Example: trainsoc import auto trace.json -o run.trace

    Example: trainsoc import execution-trace et.json.gz -o run.trace

    Example: trainsoc import kineto profile.json -o run.trace

    Example: trainsoc import scalesim resnet18.csv -o resnet18.trace
    """
    from simulator.trace.importers import IMPORTERS
    from simulator.trace.storage import save_trace

    if form not in IMPORTERS:
        raise InputError(f"import {form}: unknown format; known: {', '.join(IMPORTERS)}")
    trace = IMPORTERS[form](source)
    save_trace(trace, out)
    tell(trace.origin)
    show_trace(trace, noted=True)


def capture_to(
    out: Path,
    target: str,
    steps: str | None,
    arguments: list[str],
    batch: int | None = None,
    *,
    time: bool = False,
    fake: bool = False,
    module: bool = False,
    quiet: bool = True,
) -> None:
    """Write the trace of `target`, a script, `module`, recipe or model, to `out`, and show it
    unless `quiet`.

    `steps` ("1-2"), `arguments` and `time` are for scripts, `batch` for models; raises InputError
    where they do not fit, where torch is missing, and where `out` cannot be written. A model is
    `fake` in any case. A script that fails ends the program with its exit status.
    """
    try:
        from workloads.models import MODELS, capture_model
    except ModuleNotFoundError as error:
        raise InputError(f"capture needs {error.name}: pip install 'trainsoc[capture]'") from None
    from simulator.trace.storage import check_writable, rescue_trace
    from workloads.capture.program import PythonProgram

    script = None
    if module:
        script = PythonProgram(target, tuple(arguments), module=True)
    elif target not in MODELS:
        script = PythonProgram(str(_script(target, list(MODELS))), tuple(arguments))
    if script is None and arguments:
        raise InputError(f"{target} is a model: it takes --batch and no argument {arguments[0]}")
    if script is None and time:
        raise InputError(f"--time: {target} is a model, captured by its shapes without running it")
    if script is None and steps is not None:
        raise InputError(f"--steps {steps}: {target} is a model, of which one step is recorded")
    if time and fake:
        raise InputError("--time: a fake capture computes nothing whose time could be measured")
    if script is not None and batch is not None:
        raise InputError(f"--batch {batch}: {target} is no model; what it takes follows --")
    with suppress(OSError):
        out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(out)
    if script is not None:
        depth = _last_step(steps or ("1-20" if time else "1-32"))
        capture_program(script, out, depth, time=time, fake=fake, quiet=quiet)
        return
    trace = capture_model(target, batch)
    rescue_trace(trace, out)
    if not quiet:
        show_trace(trace, noted=True)


def _script(target: str, models: list[str]) -> Path:
    from workloads.recipes import RECIPES, STUDIES, recipe_path

    script = recipe_path(target) or Path(target)
    if not script.exists():
        known = f"recipe ({', '.join((*RECIPES, *STUDIES))}) or model ({', '.join(models)})"
        raise InputError(f"capture {target}: no such script, {known}")
    return script


def _last_step(steps: str) -> int:
    match = re.fullmatch(r"(?:1-)?([1-9][0-9]{0,5})", steps)
    if match is None:
        raise InputError(f"--steps {steps}: write it as 1-32, from the first step on")
    return int(match[1])
