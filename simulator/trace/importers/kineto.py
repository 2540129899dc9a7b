"""Profiles of PyTorch (torch.profiler, Chrome format): ops with shapes and durations."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.errors import InputError, shown
from simulator.memo import remember
from simulator.trace.importers.calls import Call
from simulator.trace.importers.chain import Chain
from simulator.trace.importers.doubts import doubts
from simulator.trace.importers.drafting import Drafter
from simulator.trace.importers.names import base_name, is_compiled, module_name
from simulator.trace.importers.nodes import Node, nested
from simulator.trace.importers.parameters import parameters
from simulator.trace.importers.program import (
    ImportedRun,
    assembled,
    draft_steps,
    read_run,
    title,
)
from simulator.trace.importers.signature import signature
from simulator.trace.importers.stream import entries
from simulator.trace.importers.threads import TimedNode, number_threads
from simulator.trace.importers.values import (
    MALFORMED,
    UNLISTED,
    MalformedField,
    complaint,
    element_type,
    tensor_of,
    tensors_in,
    whole,
)
from simulator.trace.op import OpKind, Phase
from simulator.trace.trace import StorageKind, Trace

_OPS = frozenset({"cpu_op", "user_annotation", "Operator"})  # older files say Operator
_NS_PER_US = 1000
_LONGEST_DURATION_US = (1 << 63) // 1_000_000  # 107 days: 64 bits of picoseconds
_LONGEST_US = 1 << 53  # 285 years: beyond, floats skip microseconds


def detects(text: str) -> bool:
    """Return whether a file that begins like this is a Chrome trace."""
    return '"traceEvents"' in text or (text.lstrip()[:1] == "[" and '"ph"' in text)


def import_kineto(path: Path) -> Trace:
    """Return the run in a profile, with the measured duration of each op.

    Raises InputError for a file that is damaged, of another tool, without shapes, or without a
    network.
    """
    file = _Profile(path)
    resolver = Chain()
    run = read_run(path, file.roots_by_process(), resolver)
    drafted = draft_steps(run, lambda: Drafter(None, frozenset()))
    owned: dict[int, tuple[StorageKind, str]] = {}
    for calls, drafter in zip(run.steps, drafted, strict=True):
        drafter.gradients.clear()  # a profile does not identify gradients
        _mark_weight_gradients(drafter)
        for call, draft in zip(calls, drafter.drafts, strict=True):
            owned |= {
                storage: (StorageKind.PARAMETER, f"{draft.layer}.{name}")
                for storage, name in _parameters(call)
            }
    notes = {
        "inferred": "; ".join(_notes(file, run, drafted)),
        **doubts(run, timed=not file.on_device),
    }
    origin = {"tool": "PyTorch profile", **notes}
    return assembled(title(path), run, drafted, owned, origin, timed=not file.on_device)


def _notes(file: "_Profile", run: ImportedRun, drafted: list[Drafter]) -> list[str]:
    guessed = sum(drafter.guessed for drafter in drafted)
    notes = [
        "no tensor identities: dependences are the program order, memory a guess",
        f"results and roles of {guessed} products by shape",
        "parameters by the names of arguments",
        "layers by modules" if file.has_modules else "layers by the order of ops",
    ]
    if file.on_device:
        notes.append("no times: the ops ran on another device than they were profiled on")
    if file.is_compiled:
        notes.append("what kernels that torch.compile fused did is not in the file")
    if file.processes > 1:
        notes.append(f"the steps of {file.processes} processes one after the other")
    if run.numbers:
        notes.append(f"{run.numbers} operands of one element taken for numbers")
    if run.left_out:
        notes.append(f"{run.left_out} ops outside the steps left out")
    return notes


def _parameters(call: Call) -> Iterator[tuple[int, str]]:
    """Yield the storages of parameters that a forward op reads, and their names."""
    if call.phase is not Phase.FORWARD or call.effect.kind is OpKind.VIEW:
        return
    node = call.event.node
    for argument, name in parameters(call.event, signature(node.base, node.schema)).items():
        value = call.args.get(argument)
        for place, tensor in enumerate(tensors_in(value)):
            yield tensor.storage, f"{name}_{place}" if isinstance(value, tuple) else name


def _mark_weight_gradients(drafter: Drafter) -> None:
    """Mark gradients of biases (sums behind a product's dgrad) and of embedding tables as wgrad."""
    for draft in drafter.drafts:
        if draft.phase is not Phase.DGRAD:
            continue
        of_product = draft.forward is not None and draft.forward.kind is OpKind.GEMM
        bias = of_product and draft.kind is OpKind.REDUCTION
        if bias or draft.name.startswith("aten.embedding"):
            draft.phase = Phase.WGRAD


class _Profile:
    """The events of a file by process and thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_modules = False
        self.on_device = False
        self.is_compiled = False
        self._processes: dict[str, dict[str, list[TimedNode]]] = {}
        self._read()

    @property
    def processes(self) -> int:
        """How many processes ran operators."""
        return len(self._processes)

    def _read(self) -> None:
        operators = shapes = False
        for key, event in entries(self.path, "traceEvents"):
            if key != "traceEvents" or not isinstance(event, dict) or event.get("ph") != "X":
                continue
            category, name = str(event.get("cat", "")), str(event.get("name", ""))
            self.on_device |= category == "kernel"
            self.is_compiled |= is_compiled(name)
            is_module = bool(module_name(name))
            self.has_modules |= is_module
            if category not in _OPS and not is_module:
                continue
            operators |= name.startswith("aten::")
            shapes |= self._add(event, name, category)
        if not operators:
            raise InputError(
                f"{self.path} holds no PyTorch operators (cpu_op events named aten::...): it is "
                "a Chrome trace of another tool, or of a profile without activities of the CPU"
            )
        if not shapes:
            raise InputError(
                f"{self.path} has no shapes: profile again with torch.profiler.profile("
                "record_shapes=True)"
            )

    def _add(self, event: dict[str, Any], name: str, category: str) -> bool:
        """Add an event; return whether it has the shapes of its arguments."""
        try:
            start = _time(_measure("ts", event["ts"]))
            took = _duration(_measure("dur", event.get("dur", 0)))
            args = event.get("args") or {}
            node = Node(
                start,
                sys.intern(name),
                _inputs(args) if base_name(name) else (),
                None,
                "",
                whole("Sequence number", args.get("Sequence number", -1)),
                0,
                whole("Fwd thread id", args.get("Fwd thread id", 0)),
                label=category == "user_annotation",
                measured_ns=None if took is None else round(took * _NS_PER_US),
            )
        except MALFORMED as error:
            raise InputError(
                f"{self.path}: event {shown(name)} at {shown(event.get('ts'))} cannot be read "
                f"({complaint(error)}): profile again"
            ) from None
        threads = self._processes.setdefault(str(event.get("pid")), {})
        threads.setdefault(str(event.get("tid")), []).append((start, start + (took or 0), node))
        return "Input Dims" in args or "Input dims" in args

    def roots_by_process(self) -> Iterator[list[Node]]:
        """Yield the root events of each process, with all others as their children."""
        for threads in self._processes.values():
            number_threads(list(threads.values()))
            for events in threads.values():
                # Of events that start together, the longest encloses the others.
                events.sort(key=lambda event: (event[0], -event[1]))
            yield [root for events in threads.values() for root in nested(events)]


def _measure(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedField(f"{name} is {shown(value)}, no number") from None


def _time(time: float) -> float:
    """Return a time in us; raises MalformedField if it is out of range."""
    if not 0 <= time < _LONGEST_US:
        raise MalformedField(f"a time, ts, of {time:g} us")
    return time


def _duration(took: float) -> float | None:
    """Return a duration in us, None if negative: PyTorch writes that for a lost end.

    Raises MalformedField if 64 bits of picoseconds cannot hold it.
    """
    if took < 0:
        return None
    if not took < _LONGEST_DURATION_US:
        raise MalformedField(f"a duration, dur, of {took:g} us")
    return took


def _inputs(args: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments of an op, or none if the profiler wrote them in another way."""
    try:
        return _arguments(args)
    except MALFORMED:
        return ()


def _arguments(args: dict[str, Any]) -> tuple[Any, ...]:
    shapes = args.get("Input Dims", args.get("Input dims", ()))
    kinds = args.get("Input type", ())
    values = args.get("Concrete Inputs") or [""] * len(shapes)
    strides = args.get("Input Strides") or [()] * len(shapes)
    return tuple(map(_input, shapes, kinds, values, strides))


def _input(shape: list[Any], kind: str, value: str, strides: Any) -> Any:
    if kind in ("Scalar", "ScalarList"):
        return UNLISTED if value == "" else _number(value)
    if (shape and isinstance(shape[0], list)) or kind == "TensorList":
        each = strides if len(strides) == len(shape) else [()] * len(shape)
        return tuple(
            tensor_of(-1, "float", tuple(one), tuple(s)) for one, s in zip(shape, each, strict=True)
        )
    return tensor_of(-1, kind, tuple(shape), tuple(strides)) if element_type(kind) else None


@remember("numbers in Kineto's texts", most=1 << 16)
def _number(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text or None
    return tuple(value) if isinstance(value, list) else value
