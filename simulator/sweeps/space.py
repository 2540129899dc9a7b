"""A design space: a SoC, axes of settings, conditions on them, and SoCs to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd
from typing import TYPE_CHECKING, Any

from simulator.energy.area import areas
from simulator.errors import InputError, shown
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.overlay import Overlay
from simulator.hardware.settings import setting_paths, value_of
from simulator.results.metrics import AREA, AREAS, minimisable
from simulator.sweeps.axis import LABELS, Axis
from simulator.sweeps.condition import condition, holding
from simulator.sweeps.grid import Grid, Point, chosen

if TYPE_CHECKING:
    import polars

_TRIED = 200  # points in which a value is tried before it is called wrong
# What area does not depend on.
_ELSEWHERE = ("dram.", "runtime.", "interconnect.", "name", "description")


@dataclass(frozen=True)
class DesignSpace(Grid):
    """Every combination of the choices of `axes` over `hardware` that meets all `conditions`.

    `hardware` was read from `source`; `baselines` are SoCs by name, whatever the axes say.
    """

    hardware: Hardware
    source: str
    axes: tuple[Axis, ...] = ()
    conditions: tuple[str, ...] = ()
    baselines: Mapping[str, Hardware] = field(default_factory=dict)

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

    def _meeting(self, numbers: Sequence[int], conditions: Sequence[str]) -> list[int]:
        on_area = [text for text in conditions if self._asks_area(text)]
        others = [text for text in conditions if text not in on_area]
        left = chosen(numbers, holding(self.table(numbers), others, self.fixed))
        if on_area and left:
            table = self.table(left).hstack(self._areas(left))
            left = chosen(left, holding(table, on_area, self.fixed))
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


def _knob(value: Any, text: str) -> Any:
    return text if value is None or value == "described" else value


def _label(key: str, text: str) -> Any:
    return int(text) if key == "batch" and text.isdecimal() else text


def _area_columns(hardware: Hardware) -> dict[str, float]:
    parts = AREAS.columns({part.component: part.mm2 for part in areas(hardware)})
    return parts | {AREA.key: sum(parts.values())}
