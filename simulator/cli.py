"""The verbs of the command line; each reads its input, calls one function and shows the answer."""

import json
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from simulator.errors import Infeasible, InputError

app = typer.Typer(
    name="trainsoc",
    help="What does training this network cost on a CPU, an accelerator and one shared DRAM?",
    no_args_is_help=True,
    add_completion=False,
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

# typer brings click along under a name that differs between its versions.
UsageError: Any = typer.BadParameter.__bases__[0]

HardwareArg = Annotated[str, typer.Argument(help="a YAML file or a name in hwconfigs")]
TraceArg = Annotated[str, typer.Argument(help="a trace file or the name of a bundled trace")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. accelerator.rows=32"),
]
FidelityOption = Annotated[
    str, typer.Option(help="of the accelerator: flow, or tile (every tile is simulated; slower)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object, nothing else")]


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except (InputError, Infeasible) as error:
        _fail(str(error))
    except UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        _fail(error.format_message() + where)
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code or 0)


def _fail(sentence: str, code: int = 2) -> None:
    print(f"trainsoc: {sentence}", file=sys.stderr)
    sys.exit(code)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="where the answers go")] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="epochs of training to capture")] = 8,
) -> None:
    """Train LeNet on handwritten digits, capture it, replay it, draw the answers.

    Example: trainsoc demo -o demo
    """
    trace = out / "lenet_digits.trace"
    _capture("lenet_digits", trace, "1-2", ["--epochs", str(epochs)])
    _run("edge-16x16", str(trace), out, [], "cpu-only", "phase", ops=False, quiet=False)
    figures = _draw([out])
    _timeline(out, out / "timeline.json")
    print(f"\nFigures: {', '.join(str(path) for path in figures)}")
    print(f"Timeline of one step, for ui.perfetto.dev: {out / 'timeline.json'}")


@app.command(context_settings={"allow_extra_args": True})
def capture(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="a training script, or a recipe's or model's name")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")],
    steps: Annotated[
        str | None,
        typer.Option(
            help="which steps of each kind to record in full; the rest is counted",
            show_default="1-2, with --time 1-20",
        ),
    ] = None,
    time: Annotated[
        bool, typer.Option("--time", help="record how long each op takes, for trainsoc compare")
    ] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, help="samples per step, for a model; default its own")
    ] = None,
) -> None:
    """Record a real training run; the script stays as it is, its arguments follow "--".

    A model has no script: one step of its training is recorded, without computing it.

    Example: trainsoc capture train.py -o run.trace -- --epochs 3

    Example: trainsoc capture lenet_digits -o lenet.trace

    Example: trainsoc capture resnet18 --batch 16 -o resnet18.trace

    Example: trainsoc capture lenet_digits --time -o timed.trace
    """
    recorded = steps or ("1-20" if time else "1-2")
    _capture(target, out, recorded, context.args, batch, time=time)
    _show_trace(str(out), as_json=False)


@app.command(name="import")
def import_(
    form: Annotated[str, typer.Argument(help="what wrote the file: scalesim")],
    source: Annotated[Path, typer.Argument(help="the file to import")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the trace to write")],
) -> None:
    """Turn a file of another tool into a trace.

    Example: trainsoc import scalesim resnet18.csv -o resnet18.trace
    """
    from simulator.trace.importers import IMPORTERS
    from simulator.trace.storage import save_trace

    if form not in IMPORTERS:
        raise InputError(f"import {form}: unknown format; known: {', '.join(IMPORTERS)}")
    trace = IMPORTERS[form](source)
    save_trace(trace, out)
    print(f"inferred: {trace.origin['inferred']}", file=sys.stderr)
    _show_trace(str(out), as_json=False)


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="TRACE|HARDWARE", help="file or name")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a trace or a SoC.

    Example: trainsoc show edge-16x16 --set accelerator.rows=32

    Example: trainsoc show lenet_digits --json
    """
    from simulator.hardware.load import hardware_names, load_hardware

    if what in hardware_names() or Path(what).suffix in (".yaml", ".yml"):
        view = load_hardware(what, overrides or []).plain()
        print(json.dumps(view, indent=1) if as_json else _as_lines(view))
        return
    _show_trace(what, as_json=as_json)


@app.command()
def run(
    hardware: HardwareArg,
    trace: TraceArg,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the result")] = None,
    overrides: SetOption = None,
    baseline: Annotated[
        str | None, typer.Option(help="SoC to compare with; takes --set too, but accelerator.*")
    ] = None,
    by: Annotated[str, typer.Option(help="rows of the table: phase, layer or op")] = "phase",
    fidelity: FidelityOption = "flow",
    ops: Annotated[bool, typer.Option("--ops", help="one row per piece of work in JSON")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay a training run on a SoC: latency, bandwidth and energy of every phase.

    Example: trainsoc run edge-16x16 lenet_digits --baseline cpu-only -o out

    Example: trainsoc run my_soc.yaml run.trace --set accelerator.rows=32 --json
    """
    from simulator.machine.soc import FIDELITIES

    _one_of("--by", by, ("phase", "layer", "op"))
    _one_of("--fidelity", fidelity, FIDELITIES)
    document = _run(
        hardware, trace, out, overrides or [], baseline, by,
        ops=ops, quiet=as_json, fidelity=fidelity,
    )  # fmt: skip
    if as_json:
        print(json.dumps(document, indent=1))


@app.command()
def diff(
    left: Annotated[Path, typer.Argument(help="folder of a run")],
    right: Annotated[Path, typer.Argument(help="folder of another run")],
    as_json: JsonOption = False,
) -> None:
    """Set two runs side by side; ratios are the right one over the left one.

    Example: trainsoc diff out-16 out-32
    """
    from simulator.results.report import side_by_side, summary
    from simulator.results.result import read_result

    ours, theirs = read_result(left), read_result(right)
    if as_json:
        print(json.dumps(summary(ours, theirs), indent=1))
        return
    _print(side_by_side(ours, theirs))


@app.command()
def plot(
    directories: Annotated[list[Path], typer.Argument(help="folders of runs")],
) -> None:
    """Draw the figures of a run, beside its result.

    Example: trainsoc plot out
    """
    for path in _draw(directories):
        print(path)


@app.command()
def timeline(
    directory: Annotated[Path, typer.Argument(help="folder of a run")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="file to write")] = None,
) -> None:
    """Write one step as a Chrome trace, which ui.perfetto.dev opens.

    Example: trainsoc timeline out
    """
    path = out or directory / "timeline.json"
    _timeline(directory, path)
    print(path)


@app.command()
def sweep(
    hardware: HardwareArg,
    trace: TraceArg,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the table of points")],
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default all cores")] = None,
) -> None:
    """Replay a training run on every combination of settings.

    Example: trainsoc sweep edge-16x16 lenet_digits --set accelerator.rows=8,16,32 -o sweep
    """
    from simulator.sweeps.report import sweep_report
    from simulator.sweeps.run import sweep as replay_points
    from simulator.sweeps.space import parse_space

    space = parse_space(overrides or [])
    table = replay_points(hardware, trace, space, out, workers=workers, progress=_progress)
    _print(sweep_report(table, list(space)))
    print(f"{table.height} points in {out / 'points.parquet'}")


@probe_app.command("array")
def probe_array(
    hardware: HardwareArg,
    shapes: Annotated[Path, typer.Argument(help="CSV with m,n,k or a convolution's columns")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV to write")],
    overrides: SetOption = None,
    fidelity: FidelityOption = "flow",
) -> None:
    """Time single GEMMs on the accelerator, from launch to the last byte stored.

    Rows may also have batch, groups, role (forward, dgrad, wgrad), scratchpad_bytes,
    accumulator_bytes, and a mapping: loops over tiles such as "L3[WIO] K4 - L2[WI] K16X - L1[O]
    C8 - L0[W] P16", or tile sizes R_S_q_p_C_K_b.

    Example: trainsoc probe array edge-16x16 shapes.csv -o cycles.csv
    """
    from simulator.hardware.load import load_hardware
    from simulator.machine.soc import FIDELITIES
    from simulator.probes import probe_array

    _one_of("--fidelity", fidelity, FIDELITIES)
    rows = probe_array(load_hardware(hardware, overrides or []), shapes, out, fidelity)
    print(f"{rows} shapes in {out}")


@probe_app.command("memory")
def probe_memory(
    hardware: HardwareArg,
    patterns: Annotated[Path, typer.Argument(help="CSV with the columns pattern,params")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV to write")],
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default all cores")] = None,
) -> None:
    """Run access patterns on the memory alone, command by command.

    A row is a pattern such as seq_read, random_read or tile_read, and its parameters as a JSON
    object; added are bandwidth_gbps, row_hit_rate and pj_per_bit.

    Example: trainsoc probe memory edge-16x16 patterns.csv -o bandwidth.csv
    """
    from simulator.hardware.load import load_hardware
    from simulator.probes import probe_memory

    soc = load_hardware(hardware, overrides or [])
    rows = probe_memory(soc, patterns, out, workers, _progress)
    print(f"{rows} patterns in {out}")


@probe_app.command("offload")
def probe_offload(hardware: HardwareArg, overrides: SetOption = None) -> None:
    """Print from which size on a matrix product is worth offloading, with and without copies.

    Products are n x n x n, of a linear layer's forward, dgrad and wgrad, for n up to 512.

    Example: trainsoc probe offload edge-16x16
    """
    from simulator.hardware.load import load_hardware
    from simulator.probes import break_even_table

    print(break_even_table(load_hardware(hardware, overrides or [])), end="")


@app.command()
def calibrate(
    out: Annotated[Path, typer.Option("-o", "--out", help="the YAML to write")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="that PyTorch uses; default as many as it would")
    ] = None,
) -> None:
    """Describe this machine's CPU from microbenchmarks; about a minute, let nothing else run.

    Example: trainsoc calibrate -o host.yaml --threads 1
    """
    _need_torch()
    from simulator.results.result import write_text
    from simulator.trace.storage import check_writable
    from workloads.calibrate import calibrate as measured

    check_writable(out)
    write_text(out, measured(threads, _progress))
    print(out)


@app.command()
def compare(
    hardware: HardwareArg,
    trace: Annotated[str, typer.Argument(help="a trace that was captured with --time")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for a figure")] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the predicted time of a training step beside the measured one, op kind by op kind.

    Example: trainsoc compare host.yaml timed.trace -o compared
    """
    from simulator.comparison import compare as compared
    from simulator.hardware.load import load_hardware
    from simulator.replay import as_trace
    from simulator.results.comparison import comparison_report

    document = compared(load_hardware(hardware, overrides or []), as_trace(trace))
    if out:
        _keep_comparison(document, out)
    if as_json:
        print(json.dumps(document, indent=1))
        return
    _print(comparison_report(document))


def _keep_comparison(document: dict[str, Any], out: Path) -> None:
    from simulator.results.plots import draw_comparison
    from simulator.results.result import write_text

    write_text(out / "compare.json", json.dumps(document, indent=1) + "\n")
    draw_comparison(document, out / "compare.png")


def _need_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("calibrate needs torch: pip install 'trainsoc[capture]'")


def _run(
    hardware: str,
    trace: str,
    out: Path | None,
    overrides: list[str],
    baseline: str | None,
    by: str,
    *,
    ops: bool,
    quiet: bool,
    fidelity: str = "flow",
) -> dict[str, Any]:
    from simulator.hardware.load import load_hardware
    from simulator.replay import Replay, as_trace, discard_run, save_run
    from simulator.results.report import run_report, summary, verdict

    soc = load_hardware(hardware, overrides)
    shared = [text for text in overrides if not text.startswith(("accelerator", "name", "desc"))]
    other = load_hardware(baseline, shared) if baseline else None
    steps = as_trace(trace)
    replays = [Replay(soc, steps, overrides, fidelity)]
    replays += [Replay(other, steps, shared, fidelity)] if other else []
    results = [replay.run(progress=_progress) for replay in replays]
    if out:
        for replay, result, folder in zip(replays, results, (out, out / "baseline"), strict=False):
            save_run(replay, result, folder, ops=ops)
        if other is None:
            discard_run(out / "baseline")
    documents = [result.as_dict(ops=ops or by == "op") for result in results]
    document, against = documents[0], documents[1] if other else None
    if not quiet:
        _print(run_report(document, by))
        if against:
            _print(verdict(document, against))
    return document | ({"verdict": summary(document, against)} if against else {})


def _capture(
    target: str,
    out: Path,
    steps: str,
    arguments: list[str],
    batch: int | None = None,
    *,
    time: bool = False,
) -> None:
    try:
        from workloads.models import MODELS, capture_model
    except ModuleNotFoundError as error:
        raise InputError(f"capture needs {error.name}: pip install 'trainsoc[capture]'") from None
    from simulator.trace.storage import check_writable, save_trace

    script = None if target in MODELS else _script(target, list(MODELS))
    if script is None and arguments:
        raise InputError(f"{target} is a model: it takes --batch and no argument {arguments[0]}")
    if script is None and time:
        raise InputError(f"--time: {target} is a model, captured by its shapes without running it")
    if script is not None and batch is not None:
        raise InputError(f"--batch {batch}: {target} is no model; what it takes follows --")
    with suppress(OSError):
        out.parent.mkdir(parents=True, exist_ok=True)
    check_writable(out)
    if script is None:
        save_trace(capture_model(target, batch), out)
    else:
        _capture_script(script, out, steps, arguments, time=time)


def _script(target: str, models: list[str]) -> Path:
    from workloads.recipes import RECIPES, recipe_path

    script = recipe_path(target) or Path(target)
    if not script.is_file():
        known = f"recipe ({', '.join(RECIPES)}) or model ({', '.join(models)})"
        raise InputError(f"capture {target}: no such script, {known}")
    return script


def _capture_script(
    script: Path, out: Path, steps: str, arguments: list[str], *, time: bool
) -> None:
    from simulator.trace.storage import save_trace
    from workloads.capture.script import ScriptFailed, capture_script

    try:
        trace = capture_script(script, arguments, steps=_last_step(steps), time=time)
    except ScriptFailed as error:
        if error.trace is not None:
            save_trace(error.trace, out)
            raise InputError(f"{error}; what was recorded before it is in {out}") from None
        raise
    save_trace(trace, out)


def _last_step(steps: str) -> int:
    match = re.fullmatch(r"(?:1-)?([1-9][0-9]{0,5})", steps)
    if match is None:
        raise InputError(f"--steps {steps}: write it as 1-2, from the first step of a kind on")
    return int(match[1])


def _show_trace(source: str, *, as_json: bool) -> None:
    from simulator.replay import as_trace
    from simulator.results.trace_view import trace_summary, trace_table

    trace = as_trace(source)
    if as_json:
        print(json.dumps(trace_summary(trace), indent=1))
        return
    _print(trace_table(trace))


def _draw(directories: list[Path]) -> list[Path]:
    from simulator.results.plots import draw_run
    from simulator.results.result import read_result
    from simulator.results.step import read_step

    figures: list[Path] = []
    for directory in _progress(directories, len(directories), "drawing"):
        folders = [directory, *(d for d in (directory / "baseline",) if d.is_dir())]
        results = [read_result(folder) for folder in folders]
        names = [result["hardware"] for result in results]
        if len(set(names)) < len(names):
            names = [names[0], f"{names[1]} (baseline)"]
        steps = {name: read_step(folder) for name, folder in zip(names, folders, strict=True)}
        documents = dict(zip(names, results, strict=True))
        figures += draw_run(documents, steps, directory / "figures")
    return figures


def _timeline(directory: Path, path: Path) -> None:
    from simulator.results.step import read_step
    from simulator.results.timeline import write_timeline

    write_timeline(read_step(directory), path)


def _progress(items: Any, total: int, what: str) -> Any:
    """Iterate over `items` with a progress bar on stderr, once it has taken a while."""
    import time

    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with Progress(console=console, transient=True, auto_refresh=True) as progress:
        task = progress.add_task(what, total=total, visible=False)
        start = time.monotonic()
        for item in items:
            yield item
            progress.update(task, advance=1, visible=time.monotonic() - start > 1)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    wide = console.width if console.is_terminal else 200
    Console(highlight=False, width=max(wide, 150)).print(table)


def _as_lines(view: dict[str, Any], prefix: str = "") -> str:
    lines = []
    for key, value in view.items():
        if isinstance(value, dict):
            lines.append(_as_lines(value, f"{prefix}{key}."))
        else:
            lines.append(f"{prefix}{key} = {value}")
    return "\n".join(lines)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{option} {value}: unknown; use {' or '.join(known)}")


if __name__ == "__main__":
    main()
