"""Layers of a run: energy by component, arithmetic, traffic, the whole run of each."""

from collections.abc import Iterable, Sequence

from simulator.results.documents import ResultDocument
from simulator.results.metric_row import CostRow
from simulator.results.metrics import ENERGY, ENERGY_BY_COMPONENT, metric
from simulator.views.page.documents import LayerSum
from simulator.views.page.limits import MOST_LAYERS

_MACS = metric("macs")
_TRAFFIC = metric("dram_read_bytes"), metric("dram_write_bytes")


def layer_rows(document: ResultDocument, most: int = MOST_LAYERS) -> list[LayerSum]:
    """Return the sums of each layer over its phases; of more than `most` layers the rest as one."""
    parts: dict[str, list[CostRow]] = {}
    for row in document["layers"]:
        parts.setdefault(str(row["layer"]), []).append(row)
    rows = [_sum(layer, costs) for layer, costs in parts.items()]
    if len(rows) <= most:
        return rows
    rows.sort(key=lambda row: -row["energy_j"])
    rest = [each for row in rows[most:] for each in parts[row["layer"]]]
    return [*rows[:most], _sum(f"{len(rows) - most:,} other layers", rest)]


def _sum(layer: str, costs: Sequence[CostRow]) -> LayerSum:
    return {
        "layer": layer,
        "energy_j": sum(map(ENERGY.of, costs)),
        "energy_by_component_j": _by_component(costs),
        "macs": int(sum(map(_MACS.of, costs))),
        "dram_bytes": int(sum(each.of(row) for row in costs for each in _TRAFFIC)),
    }


def _by_component(costs: Iterable[CostRow]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for row in costs:
        for name, joules in ENERGY_BY_COMPONENT.of(row).items():
            sums[name] = sums.get(name, 0.0) + joules
    return sums
