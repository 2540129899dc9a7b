"""What a governor chooses, how warm a run gets, and how far a battery carries it, in words."""

from rich.text import Text

from simulator.results.documents import DvfsDocument, HeatDocument
from simulator.si import percent, si


def epochs_text(epochs: float) -> str:
    """Return a number of epochs in three digits or more, never with an exponent."""
    return f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"


def heat_lines(heat: HeatDocument) -> Text:
    """Return lines on time, energy, temperature, throttling and battery of a run."""
    steady = heat["steady_temperature_degc"]
    rest = "it would run away" if steady is None else f"steady {steady:.1f} degC"
    lines = [
        f"heat: {epochs_text(heat['epochs'])} epochs in {si(heat['time_s'], 's')} take "
        f"{si(heat['energy_j'], 'J')} of the board; the die peaks at "
        f"{heat['peak_temperature_degc']:.1f} degC ({rest} without throttling), throttled "
        f"{percent(heat['throttled_s'], heat['time_s'])} of the time"
    ]
    if not heat["complete"]:
        lines.append("the run ended early: battery empty, too weak, or the die ran away")
    if "charge_per_epoch" in heat:
        lines.append(
            f"battery: an epoch takes {100 * heat['charge_per_epoch']:.3g} % of a charge, "
            f"{epochs_text(heat['epochs_per_charge'])} epochs per charge"
        )
    return Text("\n".join(lines))


def dvfs_lines(dvfs: DvfsDocument) -> Text:
    """Return lines on the clocks that a governor chose, and what they change."""
    lines = [
        f"governor {dvfs['governor']}: {si(dvfs['time_s'], 's')} and {si(dvfs['energy_j'], 'J')} "
        f"over the run, with fixed clocks as below {si(dvfs['fixed_time_s'], 's')} and "
        f"{si(dvfs['fixed_energy_j'], 'J')}; {dvfs['switches']:,} switches take "
        f"{si(dvfs['switching_s'], 's')}"
    ]
    for row in dvfs["parts"]:
        clocks = ", ".join(f"{unit} {si(hz, 'Hz')}" for unit, hz in row["clocks"].items())
        lines.append(
            f"  {row['part']:<10} {clocks}: {si(row['time_s'], 's')}, {si(row['energy_j'], 'J')}"
        )
    return Text("\n".join(lines))
