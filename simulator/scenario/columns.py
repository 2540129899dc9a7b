"""A scenario as a row of a sweep's table: which columns it has, and their values."""

from simulator.scenario.description import Scenario
from simulator.scenario.result import Row, ScenarioResult

_TOTAL = ("energy_j", "energy_per_frame_j", "average_power_w", "duration_s")
_OF_PROGRAM = ("latency_p50_s", "latency_p95_s", "latency_p99_s", "slowdown", "misses",
               "energy_per_job_j", "jobs_per_s")  # fmt: skip
_OF_LINK = ("utilization", "bytes", "energy_j")


def columns_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the columns of a scenario that can be minimised."""
    programs = [*scenario.programs, *(f"{name}.train" for name in scenario.rounds)]
    return (
        "latency_s",
        *_TOTAL,
        *(f"{_spelled(name)}_{key}" for name in programs for key in _OF_PROGRAM),
        *(f"{name}_{key}" for name in scenario.links for key in _OF_LINK),
        *(f"{name}_{key}" for name in scenario.devices for key in ("energy_j", "utilization")),
    )


def scenario_row(result: ScenarioResult) -> dict[str, float | int | str | None]:
    """Return the values of the columns.

    `latency_s` is the mean from the arrival of a frame at the first source to its last
    consequence, `energy_j` that of all devices and links; of devices of a kind the energy is the
    sum, the utilization the highest.
    """
    total, (first, *_) = result.total, result.sources
    row: dict[str, float | int | str | None] = {
        "latency_s": first["latency_mean_s"],
        "frames_per_s": first["frames_per_s"],
        "bound_per_s": first["bound_per_s"],
        **{key: total[key] for key in _TOTAL},
        "energy_aj": str(total["energy_aj"]),
        "macs": float(total["macs"]),
        "bytes": float(total["bytes"]),
    }
    for each in result.programs:
        name = _spelled(each["program"])
        row |= {f"{name}_{key}": each[key] for key in _OF_PROGRAM if each[key] is not None}
    for each in result.links:
        row |= {f"{each['link']}_{key}": each[key] for key in _OF_LINK}
    kinds: dict[str, list[Row]] = {}
    for each in result.devices:
        kinds.setdefault(each["kind"], []).append(each)
    for name, rows in kinds.items():
        row[f"{name}_energy_j"] = sum(each["energy_j"] for each in rows)
        row[f"{name}_utilization"] = max(each["utilization"] for each in rows)
        row[f"{name}_memory_bytes"] = max(each["memory_bytes"] for each in rows)
        row[f"{name}_weights_bytes"] = max(each["weights_bytes"] for each in rows)
    return row


def _spelled(program: str) -> str:
    """Return the name of a program in a column: settings have dots in theirs, results none."""
    return program.replace(".", "_")
