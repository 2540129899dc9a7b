"""A design space: a SoC, axes of settings, conditions on them, and SoCs to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd
from typing import TYPE_CHECKING, Any

from simulator.energy.area import areas
from simulator.energy.fpga import check_fits, resources
from simulator.errors import Infeasible, InputError, shown
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.overlay import Overlay
from simulator.hardware.settings import setting_paths, value_of
from simulator.results.metrics import AREA, AREAS, METRICS, OF_NETWORK, RESOURCES, minimisable
from simulator.sweeps.accuracy import Accuracies, accuracy_columns
from simulator.sweeps.axis import MODEL, Axis, is_label
from simulator.sweeps.condition import condition, holding
from simulator.sweeps.grid import Grid, Point, chosen

if TYPE_CHECKING:
    import polars

_TRIED = 200  # points in which a value is tried before it is called wrong
# What neither area nor resources depend on.
_ELSEWHERE = ("dram.", "runtime.", "interconnect.", "name", "description")


@dataclass(frozen=True)
class DesignSpace(Grid):
    """Every combination of the choices of `axes` over `hardware` that meets all `conditions`.

    `hardware` was read from `source`; `baselines` are SoCs by name, whatever the axes say;
    `accuracies` know how accurate the network of a point is.
    """

    hardware: Hardware
    source: str
    axes: tuple[Axis, ...] = ()
    conditions: tuple[str, ...] = ()
    baselines: Mapping[str, Hardware] = field(default_factory=dict)
    accuracies: Accuracies | None = None

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
        return Overlay(self.hardware, [knob for knob in self.knobs if not is_label(knob)])

    def _meeting(self, numbers: Sequence[int], conditions: Sequence[str]) -> list[int]:
        on_point = [text for text in conditions if self._asks_point(text)]
        others = [text for text in conditions if text not in on_point]
        left = chosen(numbers, holding(self.table(numbers), others, self.fixed))
        if on_point and left:
            table = self.table(left).hstack(self._of_machines(left))
            if self.accuracies:
                table = table.hstack(self._of_networks(left))
            left = chosen(left, holding(table, on_point, self.fixed))
        return left

    def accuracy_of(self, point: Point) -> dict[str, Any]:
        """Return the columns of a point's accuracy; none where no accuracies are given."""
        if self.accuracies is None or point.baseline:
            return {}
        return accuracy_columns(self.accuracies.of({**point.settings, **point.labels}))

    def fits(self, number: int) -> bool:
        """Return whether the arrays of a combination fit their FPGA, where they have one."""
        if self.hardware.technology.fpga is None:
            return True
        try:
            check_fits(self.resolve(self.point(number)))
        except (Infeasible, InputError):
            return False
        return True

    @cached_property
    def described(self) -> dict[str, Any]:
        """The settings of the SoC before an axis moves any."""
        settings = {path: value_of(self.hardware, path) for path in setting_paths()}
        return {path: value for path, value in settings.items() if isinstance(value, int | str)}

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The settings of the SoC that no axis moves."""
        return {path: value for path, value in self.described.items() if path not in self.knobs}

    def _asks_point(self, text: str) -> bool:
        """Return whether a condition is on area, resources or accuracy, which follow from axes."""
        beside = {*_machine_columns(self.hardware)}
        if self.accuracies:
            beside |= {each.key for each in OF_NETWORK}
        columns = (*self.knobs, *sorted(beside))
        try:
            parsed = condition(text, columns, self.fixed)
        except InputError:
            _refuse_results(text, columns)
            raise
        return not parsed.names.isdisjoint(beside) or any(map(AREAS.name_in, parsed.names))

    def _of_machines(self, numbers: Sequence[int]) -> "polars.DataFrame":
        """Return areas and resources of these combinations; those of misfits are missing."""
        import polars as pl  # noqa: PLC0415

        by_settings: dict[frozenset[tuple[str, str]], dict[str, float]] = {}
        rows = []
        for number in numbers:
            settings = self.point(number).settings
            key = frozenset(item for item in settings.items() if not item[0].startswith(_ELSEWHERE))
            if key not in by_settings:
                by_settings[key] = self._columns_of(dict(key))
            rows.append(by_settings[key])
        schema = dict.fromkeys(_machine_columns(self.hardware), pl.Float64)
        return pl.DataFrame(rows, schema=schema)

    def _of_networks(self, numbers: Sequence[int]) -> "polars.DataFrame":
        import polars as pl  # noqa: PLC0415

        rows = [self.accuracy_of(self.point(number)) for number in numbers]
        return pl.DataFrame(rows, schema={each.key: pl.Float64 for each in OF_NETWORK})

    def _columns_of(self, settings: Mapping[str, str]) -> dict[str, float]:
        try:
            return _machine_columns(load_hardware(self.hardware, settings))
        except InputError:
            return {}

    def _plain(self, which: int, index: int) -> tuple[Any, ...]:
        """Return the plain values of one choice of one axis."""
        axis, choice = self.axes[which], self.axes[which].choices[index]
        texts = dict(zip(axis.keys, choice, strict=True))
        settings = {key: text for key, text in texts.items() if not is_label(key)}
        hardware = self._some_hardware(which, index, settings) if settings else self.hardware
        return tuple(
            _label(key, texts[key]) if is_label(key) else _knob(value_of(hardware, key), texts[key])
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
    results = {each.key for each in METRICS} | {*minimisable()} | {each.key for each in OF_NETWORK}
    try:
        parsed = condition(text, (*sorted(results), *columns))
    except InputError:
        return
    if lacking := sorted(parsed.names & {each.key for each in RESOURCES}):
        raise InputError(
            f"condition {shown(text, 80)}: {', '.join(lacking)} of no FPGA: describe one under "
            "technology.fpga, as hwconfigs/ef-train-zcu102.yaml does"
        )
    if parsed.names & {each.key for each in OF_NETWORK}:
        raise InputError(
            f"condition {shown(text, 80)}: no accuracy is known before points run: give a table "
            "of it with --accuracy, or ask with --best and --where"
        )
    lacking = sorted(parsed.names & results)
    are = "are" if len(lacking) > 1 else "is"
    raise InputError(
        f"condition {shown(text, 80)}: {', '.join(lacking)} {are} known when a point has run; ask "
        "with --best and --where"
    )


def _knob(value: Any, text: str) -> Any:
    return text if value is None or value == "described" else value


def _label(key: str, text: str) -> Any:
    is_number = key == "batch" or key.startswith(MODEL)
    return int(text) if is_number and text.isdecimal() else text


def _machine_columns(hardware: Hardware) -> dict[str, float]:
    parts = AREAS.columns({part.component: part.mm2 for part in areas(hardware)})
    demand = resources(hardware)
    return parts | {AREA.key: sum(parts.values())} | (demand._asdict() if demand else {})
