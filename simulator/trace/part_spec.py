"""What a part of a trace is, as people write it: layers, phases, ops.

    conv1..layer2       from the first op of conv1 to the last one of layer2, backward and updates
                        included; also ..layer2, layer3.. (to the end, with the loss), and
                        ..<layer3 (up to layer3, without it)
    layer1, fc          these layers alone, and what is within them
    phase=forward,loss  ops of these phases
    ops=10..42          ops by their number in the step

What is in two kinds of these, as in "conv1..layer2 phase=forward", is in the part.
"""

import re
from dataclasses import dataclass

from simulator.errors import InputError, join_names, shown
from simulator.trace.op import Op, Phase
from simulator.trace.places import NetworkPlaces

_NAME = re.compile(r"[\w\-]*(\.[\w\-]+)*")
_NUMBERS = re.compile(r"(\d{1,15})\.\.(\d{1,15})")
_FIX = "write conv1..layer2, ..layer2, layer3.., ..<layer3 or fc"


@dataclass(frozen=True, slots=True)
class LayerRange:
    """Work from the first op of layer `first` to the last one of `last`; "": no bound.

    With `before` it ends before the first op of `last`. If not `through`, it is the work of the
    layer `first` alone, wherever that runs.
    """

    first: str = ""
    last: str = ""
    before: bool = False
    through: bool = True

    def __str__(self) -> str:
        """Return the range as it is written."""
        dots = f"..{'<' if self.before else ''}" if self.through else ""
        return f"{self.first}{dots}{self.last}"

    def covers(self, where: NetworkPlaces) -> set[int]:
        """Return the places of a step that are in the range."""
        if not self.through:
            return set(where.of(self.first))
        firsts = where.of(self.first) if self.first else [0]
        lasts = where.of(self.last) if self.last else [len(where.layers) - 1]
        if not firsts or not lasts:
            return set()
        return set(range(firsts[0], lasts[0] if self.before else lasts[-1] + 1))


@dataclass(frozen=True, slots=True)
class TracePart:
    """The layers, phases and ops (first and last, by number in their step) of a part of a trace.

    Without layers it has all of them, likewise without phases or ops.
    """

    layers: tuple[LayerRange, ...] = ()
    phases: tuple[Phase, ...] = ()
    ops: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "TracePart":
        """Return the part that `text` describes, as this module's docstring has it.

        Raises InputError that says how to write it.
        """
        layers: list[LayerRange] = []
        phases: list[Phase] = []
        ops = None
        for word in text.replace(", ", ",").split():
            key, equals, value = word.partition("=")
            if equals and key == "phase":
                phases += [_phase(name, text) for name in value.split(",")]
            elif equals and key == "ops":
                ops = _numbers(value, text)
            else:
                layers += [_range(name, text) for name in word.split(",")]
        if not (layers or phases or ops):
            raise InputError(f"part {shown(text)}: it is empty; {_FIX}")
        return cls(tuple(layers), tuple(phases), ops)

    def __str__(self) -> str:
        """Return the part as text that `parse` reads."""
        words = [",".join(map(str, self.layers))] if self.layers else []
        words += [f"phase={','.join(self.phases)}"] if self.phases else []
        words += [f"ops={self.ops[0]}..{self.ops[1]}"] if self.ops else []
        return " ".join(words)

    @property
    def names(self) -> tuple[str, ...]:
        """The layers at the ends of its ranges."""
        return tuple(name for each in self.layers for name in (each.first, each.last) if name)

    def covers(self, where: NetworkPlaces) -> set[int]:
        """Return the places of a step that are in its layers."""
        if not self.layers:
            return set(range(len(where.layers)))
        return set().union(*(each.covers(where) for each in self.layers))

    def has(self, number: int, op: Op) -> bool:
        """Return whether op `number` of a step is of its phases and ops."""
        first, last = self.ops or (0, number)
        return first <= number <= last and (not self.phases or op.phase in self.phases)


def _phase(name: str, text: str) -> Phase:
    if name not in Phase.__members__.values():
        raise InputError(f"part {shown(text)}: no phase {shown(name)}; use {join_names(Phase)}")
    return Phase(name)


def _numbers(value: str, text: str) -> tuple[int, int]:
    match = _NUMBERS.fullmatch(value)
    if match is None or int(match[1]) > int(match[2]):
        raise InputError(f"part {shown(text)}: ops={shown(value)[1:-1]}: write ops=10..42")
    return int(match[1]), int(match[2])


def _range(name: str, text: str) -> LayerRange:
    first, dots, last = name.partition("..")
    before = last.startswith("<")
    last = last.removeprefix("<")
    if not (first or last) or not _NAME.fullmatch(first) or not _NAME.fullmatch(last):
        raise InputError(f"part {shown(text)}: {shown(name)} is no range of layers; {_FIX}")
    return LayerRange(first, last, before, through=bool(dots))
