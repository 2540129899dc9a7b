"""The descriptions that ship with the product, by name."""

from pathlib import Path

from simulator.memo import remember

CONFIGS = Path(__file__).resolve().parents[2] / "hwconfigs"
IDEAL = "ideal"
EXAMPLE = "edge-16x16.yaml"


def hardware_names() -> list[str]:
    """Return the names of the SoCs that ship with the product."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@remember("names of DRAM presets", most=1)
def dram_presets() -> tuple[str, ...]:
    """Return the names that `dram.preset` takes."""
    return (IDEAL, *sorted(path.stem for path in (CONFIGS / "dram").glob("*.yaml")))


def preset_path(preset: str) -> Path:
    """Return the file of a DRAM preset."""
    return CONFIGS / "dram" / f"{preset}.yaml"


def core_classes() -> list[str]:
    """Return the names that `cpu.core` takes."""
    return sorted(path.stem for path in (CONFIGS / "cores").glob("*.yaml"))


def cpu_names() -> list[str]:
    """Return the names that `base` of a CPU takes."""
    return sorted(path.stem for path in (CONFIGS / "cpus").glob("*.yaml"))


def link_profiles() -> list[str]:
    """Return the names that `profile` of a link takes."""
    return sorted(path.stem for path in (CONFIGS / "links").glob("*.yaml"))
