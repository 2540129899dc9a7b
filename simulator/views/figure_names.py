"""The names of all figures of folders, for a command line that has not loaded matplotlib."""

RUN_NAMES = (
    "energy_per_epoch", "energy_per_phase", "latency_per_phase", "decides", "against_baseline",
    "heat",
    "dram_bandwidth", "occupancy", "cumulative_energy", "step_memory", "roofline", "profile",
    "layers",
)  # fmt: skip
SCENARIO_NAMES = ("lanes", "latencies", "energies")
METHOD_NAMES = (
    "method_energy", "energy_to_accuracy", "accuracy_front", "bits_over_epochs",
    "memory_of_methods",
)  # fmt: skip
SWEEP_NAMES = (
    "heat_map", "front", "energy_by_array", "utilization", "curves", "sensitivity", "history",
    "importance", "parallel", "across",
)  # fmt: skip

NAMES_BY_KIND = {
    "a run": RUN_NAMES,
    "a scenario": SCENARIO_NAMES,
    "methods": METHOD_NAMES,
    "a sweep": SWEEP_NAMES,
}
FIGURES = tuple(name for names in NAMES_BY_KIND.values() for name in names)


def names_by_kind() -> str:
    """Return all names by what they show, for a help text."""
    return "; ".join(f"of {kind}: {', '.join(names)}" for kind, names in NAMES_BY_KIND.items())
