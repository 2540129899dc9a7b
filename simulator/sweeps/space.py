"""A design space: a SoC, axes of settings, conditions on them, and SoCs to compare with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from math import gcd, prod
from typing import TYPE_CHECKING, Any

from simulator.energy.area import areas
from simulator.errors import InputError, shown
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.overlay import Overlay
from simulator.hardware.settings import setting_paths, value_of
from simulator.results.metrics import AREA, AREAS, minimisable
from simulator.sweeps.axis import LABELS, Axis
from simulator.sweeps.condition import condition, holding

if TYPE_CHECKING:
    import polars

LARGEST_GRID = 1_000_000
_TRIED = 200  # points in which a value is tried before it is called wrong
# What area does not depend on.
_ELSEWHERE = ("dram.", "runtime.", "interconnect.", "name", "description")


@dataclass(frozen=True)
class Point:
    """One design: the settings that make its hardware, and which training runs on it.

    `labels` are among "trace", "method", "batch"; `baseline` names a SoC outside of the space.
    """

    settings: Mapping[str, str]
    labels: Mapping[str, str]
    baseline: str = ""


@dataclass(frozen=True)
class DesignSpace:
    """Every combination of the choices of `axes` over `hardware` that meets all `conditions`.

    `hardware` was read from `source`; `baselines` are SoCs by name, whatever the axes say.
    """

    hardware: Hardware
    source: str
    axes: tuple[Axis, ...] = ()
    conditions: tuple[str, ...] = ()
    baselines: Mapping[str, Hardware] = field(default_factory=dict)

    @property
    def knobs(self) -> tuple[str, ...]:
        """The columns that tell points apart."""
        return tuple(key for axis in self.axes for key in axis.keys)

    @property
    def size(self) -> int:
        """How many combinations there are, before conditions."""
        return prod(len(axis.choices) for axis in self.axes)

    def point(self, number: int) -> Point:
        """Return combination `number`, from 0; the last axis varies fastest."""
        return self.at(self.indices(number))

    def indices(self, number: int) -> tuple[int, ...]:
        """Return which choice of every axis combination `number` has."""
        indices = []
        for axis in reversed(self.axes):
            number, index = divmod(number, len(axis.choices))
            indices.append(index)
        return tuple(reversed(indices))

    def number(self, indices: Sequence[int]) -> int:
        """Return the combination with these choices."""
        number = 0
        for axis, index in zip(self.axes, indices, strict=True):
            number = number * len(axis.choices) + index
        return number

    def at(self, indices: Sequence[int]) -> Point:
        """Return the combination with these choices, one index per axis."""
        texts: dict[str, str] = {}
        for axis, index in zip(self.axes, indices, strict=True):
            texts.update(zip(axis.keys, axis.choices[index], strict=True))
        labels = {key: texts.pop(key) for key in LABELS if key in texts}
        return Point(texts, labels)

    def resolve(self, point: Point) -> Hardware:
        """Return the hardware of `point`; raises InputError where its settings do not fit."""
        if point.baseline:
            return self.baselines[point.baseline]
        return self._overlay.at(point.settings) if point.settings else self.hardware

    def digest(self, point: Point) -> str:
        """Return the digest of the hardware of `point`; raises InputError as `resolve` may do."""
        if point.baseline or not point.settings:
            return self.resolve(point).digest
        return self._overlay.digest_at(point.settings)

    @cached_property
    def _overlay(self) -> Overlay:
        """The SoC with other values of the settings that axes move."""
        return Overlay(self.hardware, [knob for knob in self.knobs if knob not in LABELS])

    @cached_property
    def values(self) -> tuple[tuple[tuple[Any, ...], ...], ...]:
        """The plain value of every key in every choice of every axis: 65536 for "64 KiB".

        Raises InputError for a value that is wrong whatever the other axes say.
        """
        plain = tuple(
            tuple(self._plain(which, index) for index in range(len(axis.choices)))
            for which, axis in enumerate(self.axes)
        )
        for axis, values in zip(self.axes, plain, strict=True):
            _check_different(axis, values)
        return plain

    def table(self, numbers: Sequence[int]) -> "polars.DataFrame":
        """Return the plain values of the knobs of these combinations, a row for each."""
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        chosen = list(zip(*map(self.indices, numbers), strict=True)) or [()] * len(self.axes)
        columns = {}
        for axis, values, indices in zip(self.axes, self.values, chosen, strict=True):
            for position, key in enumerate(axis.keys):
                columns[key] = [values[index][position] for index in indices]
        return pl.DataFrame(columns, strict=False) if columns else pl.DataFrame({"number": numbers})

    def allowed(self) -> list[int]:
        """Return the combinations that meet all conditions, in order.

        Raises InputError for a grid too large to list, and naming conditions that contradict.
        """
        if self.size > LARGEST_GRID:
            raise InputError(
                f"the grid has {self.size:,} points: name fewer values, or look for the best "
                "with --search 200"
            )
        left = self.meeting(range(self.size))
        if not left:
            raise self.empty()
        return left

    def meeting(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these combinations that meet all conditions."""
        return self._meeting(numbers, self.conditions)

    def _meeting(self, numbers: Sequence[int], conditions: Sequence[str]) -> list[int]:
        on_area = [text for text in conditions if self._asks_area(text)]
        others = [text for text in conditions if text not in on_area]
        left = _chosen(numbers, holding(self.table(numbers), others, self.fixed))
        if on_area and left:
            table = self.table(left).hstack(self._areas(left))
            left = _chosen(left, holding(table, on_area, self.fixed))
        return left

    @cached_property
    def described(self) -> dict[str, Any]:
        """The settings of the SoC before an axis moves any."""
        settings = {path: value_of(self.hardware, path) for path in setting_paths()}
        return {path: value for path, value in settings.items() if isinstance(value, int | str)}

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The settings of the SoC that no axis moves."""
        return {path: value for path, value in self.described.items() if path not in self.knobs}

    def _asks_area(self, text: str) -> bool:
        columns = (*self.knobs, *_area_columns(self.hardware))
        try:
            parsed = condition(text, columns, self.fixed)
        except InputError:
            _refuse_results(text, columns)
            raise
        return any(map(AREAS.name_in, parsed.names))

    def _areas(self, numbers: Sequence[int]) -> "polars.DataFrame":
        """Return the areas of these combinations, those that do not fit together as missing."""
        import polars as pl  # noqa: PLC0415

        areas: dict[frozenset[tuple[str, str]], dict[str, float]] = {}
        rows = []
        for number in numbers:
            settings = self.point(number).settings
            key = frozenset(item for item in settings.items() if not item[0].startswith(_ELSEWHERE))
            if key not in areas:
                areas[key] = self._area_columns_of(dict(key))
            rows.append(areas[key])
        schema = dict.fromkeys(_area_columns(self.hardware), pl.Float64)
        return pl.DataFrame(rows, schema=schema)

    def _area_columns_of(self, settings: Mapping[str, str]) -> dict[str, float]:
        try:
            return _area_columns(load_hardware(self.hardware, settings))
        except InputError:
            return {}

    def _plain(self, which: int, index: int) -> tuple[Any, ...]:
        """Return the plain values of one choice of one axis."""
        axis, choice = self.axes[which], self.axes[which].choices[index]
        texts = dict(zip(axis.keys, choice, strict=True))
        settings = {key: text for key, text in texts.items() if key not in LABELS}
        hardware = self._some_hardware(which, index, settings) if settings else self.hardware
        return tuple(
            _label(key, texts[key]) if key in LABELS else _knob(value_of(hardware, key), texts[key])
            for key in axis.keys
        )

    def _some_hardware(self, which: int, index: int, settings: Mapping[str, str]) -> Hardware:
        """Return hardware with these settings; with others beside them where it needs those."""
        try:
            return load_hardware(self.hardware, settings)
        except InputError as error:
            alone = error
        stride = max(1, self.size // _TRIED)
        while gcd(stride, self.size) > 1:  # or an axis might stand still
            stride += 1
        for number in range(0, self.size, stride):
            indices = [*self.indices(number)]
            indices[which] = index
            try:
                return self.resolve(self.at(indices))
            except InputError:
                continue
        raise alone

    def empty(self) -> InputError:
        """Return which conditions no point meets together, as few of them as are enough.

        In a space too large to list, a search has only tried many points.
        """
        for count in (1, 2) if self.size <= LARGEST_GRID else ():
            for texts in combinations(self.conditions, count):
                if not self._meeting(range(self.size), texts):
                    return _none_meets("no point of the space", texts)
        points = "no point of the space" if self.size <= LARGEST_GRID else "no point tried"
        return _none_meets(points, self.conditions)


def _none_meets(points: str, texts: Sequence[str]) -> InputError:
    conditions = " and ".join(shown(text, 80) for text in texts)
    if len(texts) == 1:
        return InputError(f"{points} meets {conditions}: change it, or the values")
    if len(texts) == 2:
        return InputError(f"{points} meets both {conditions}")
    return InputError(f"{points} meets {conditions} together")


def _refuse_results(text: str, columns: Sequence[str]) -> None:
    """Raise InputError where a condition asks for a result: a point has one only after it ran."""
    try:
        parsed = condition(text, (*columns, *minimisable()))
    except InputError:
        return
    results = sorted(parsed.names & set(minimisable()))
    are = "are" if len(results) > 1 else "is"
    raise InputError(
        f"condition {shown(text, 80)}: {', '.join(results)} {are} known when a point has run; ask "
        "with --best and --where"
    )


def _chosen(numbers: Sequence[int], mask: Iterable[bool]) -> list[int]:
    return [number for number, chosen in zip(numbers, mask, strict=True) if chosen]


def _check_different(axis: Axis, values: Sequence[tuple[Any, ...]]) -> None:
    """Raise InputError where an axis writes one value in two ways, "64 KiB" and "65536 B"."""
    texts: dict[tuple[Any, ...], str] = {}
    for choice, plain in zip(axis.choices, values, strict=True):
        text = " ".join(choice)
        if plain in texts:
            raise InputError(f"axis {axis.name}: {texts[plain]} and {text} are the same value")
        texts[plain] = text


def _knob(value: Any, text: str) -> Any:
    return text if value is None or value == "described" else value


def _label(key: str, text: str) -> Any:
    return int(text) if key == "batch" and text.isdecimal() else text


def _area_columns(hardware: Hardware) -> dict[str, float]:
    parts = AREAS.columns({part.component: part.mm2 for part in areas(hardware)})
    return parts | {AREA.key: sum(parts.values())}
