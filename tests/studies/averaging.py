"""Federated rounds: bytes and time against closed forms and a second implementation."""

from typing import Any

from simulator.scenario.result import ScenarioResult
from tests.studies.world import world

WEIGHTS = 1_000_000  # bytes; 8 ms at 1 Gb/s
LATENCY_PS = 200 * 10**6
TRAIN_PS, AVERAGE_PS = 4 * 10**12, 10**10
OCCUPIED_PS = 8 * 10**9


def rounds(
    clients: int,
    medium: str = "full",
    train_ps: int = TRAIN_PS,
    link: dict[str, Any] | None = None,
    **options: Any,
) -> ScenarioResult:
    """Return rounds of equal clients, by default over a link of 1 Gb/s with this medium."""
    line = {"rate": "1 Gb/s", "latency": f"{LATENCY_PS} ps", "medium": medium}
    entry = {
        "server": "server", "clients": "phones", "over": "link",
        "train": {"time": f"{train_ps} ps"}, "average": {"time": f"{AVERAGE_PS} ps"},
        "download": f"{WEIGHTS} B", "upload": f"{WEIGHTS} B",
    }  # fmt: skip
    return world(
        devices={
            "phones": {"rate": "1 GMAC/s", "power": "2 W", "count": clients},
            "server": {"rate": "1 TMAC/s"},
        },
        links={"link": link or line},
        rounds={"fed": entry | options},
    )


def closed_form_ps(clients: int, medium: str, train_ps: int = TRAIN_PS) -> int:
    """Return a round: the first download, training, all uploads one after the other, average.

    Downloads leave the server one after the other, so clients end in turn and uploads never wait;
    on a shared medium they wait until the last download where training is shorter than those.
    """
    one_ps = OCCUPIED_PS
    turns_ps = one_ps + LATENCY_PS + train_ps + clients * one_ps
    if medium == "shared":
        turns_ps = max(turns_ps, 2 * clients * one_ps)
    return turns_ps + LATENCY_PS + AVERAGE_PS


def replayed_ps(clients: int, medium: str, train_ps: list[int]) -> int:
    """Return a round by hand, message by message: a second implementation."""
    down_ps = [(number + 1) * OCCUPIED_PS for number in range(clients)]
    free_ps = down_ps[-1] if medium == "shared" else 0
    ready_ps = sorted(at + LATENCY_PS + took for at, took in zip(down_ps, train_ps, strict=True))
    for at in ready_ps:
        free_ps = max(free_ps, at) + OCCUPIED_PS
    return free_ps + LATENCY_PS + AVERAGE_PS
