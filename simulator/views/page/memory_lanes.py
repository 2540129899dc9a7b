"""What a step holds in memory over time, by kind, as lanes of a page."""

from simulator.results.step_documents import StepDocument
from simulator.views.memory_view import GROUPS
from simulator.views.page.columns import thinned
from simulator.views.page.documents import LevelColumns
from simulator.views.page.limits import MOST_LEVELS


def memory_lanes(step: StepDocument) -> dict[str, LevelColumns]:
    """Return the bytes of each kind that live from each moment on; empty where the step of an
    older run does not tell.
    """
    rows = step.get("memory", [])
    moments = [row["start_ps"] for row in rows]
    lanes: dict[str, LevelColumns] = {}
    for group, kinds in GROUPS.items():
        sizes = [float(sum(row["bytes"].get(kind.value, 0) for kind in kinds)) for row in rows]
        if any(sizes):
            lane: LevelColumns = {"at": moments, "value": sizes}
            lanes[group] = thinned(lane, MOST_LEVELS, step["duration_ps"])
    return lanes
