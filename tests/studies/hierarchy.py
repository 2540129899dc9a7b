"""A tree of small networks over four Raspberry Pis (Goel et al., ASP-DAC 2022, arXiv 2109.13356).

From the repository (abhinavgoel95/Pipeline-Parallel-MNN-Tree): layer lists, which node runs on
which device, the sizes of the nodes' files, fp32 features over TCP, batch 1, frames in turn over
both roots. The baseline loads the nodes of each frame from disk; a pipeline's nodes stay. From the
paper: 3.21 times the throughput, 68 % less energy per device and frame, 58 % less memory. Unknown:
the link's rate, the disk's, watts. Classes are equally frequent.
"""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from simulator.scenario.load import read_link
from simulator.scenario.result import ScenarioResult
from simulator.views.plots import LevelMap
from tests.studies.world import row, world

SPEEDUP = 3.21  # published, as are the other two
ENERGY, MEMORY = -0.68, -0.58
FILES = {
    "root": 204_733, "sg1": 220_607, "sg2": 220_607, "sg3": 420_030, "sg4": 127_487, "sg5": 127_487,
}  # fmt: skip
"""Bytes of each node's file in the repository."""
FEATURES = {"root": "32768 B", "sg3": "65536 B"}
"""What passes to the next node: 32 maps of 16 x 16, and 64 of them."""
SHARES = {
    "root": {"sg1": Fraction(1, 5), "sg2": Fraction(1, 5), "sg3": Fraction(3, 5)},
    "sg3": {"sg4": Fraction(1, 3), "sg5": Fraction(1, 3)},
}
"""Of the frames at a node so many go on to each child."""
HOMES = {
    1: {"pi": "root sg1 sg2 sg3 sg4 sg5"},
    2: {"front": "root sg1 sg2", "back": "sg3 sg4 sg5"},
    3: {"front": "root", "middle": "sg3 sg4", "back": "sg1 sg2 sg5"},
    4: {"front": "root", "middle": "sg3 sg4", "back": "sg1 sg2 sg5"},
}
"""The nodes of each device; with four, two of them are `front`."""
FRAMES = 150  # whole decks of choices, so that shares come out exactly
WATTS = "6.4 W"  # of a board, a guess; ratios do not depend on it


class Board(NamedTuple):
    """A device: what stands for it in a scenario, and whether it runs nodes by their MACs alone."""

    entry: dict[str, Any]
    name: str


CONSTANT = Board({"rate": "1 GMAC/s", "idle": WATTS}, "1 GMAC/s")
_BOARD = {"hardware": "raspberry-pi-4", "boundary": "board"}  # as a meter at the wall reads it
PI = Board(_BOARD | {"shared": "by job"}, "raspberry-pi-4")
ETHERNET = read_link("ethernet-1000") | {"latency": "0.2 ms"}  # a guess


def tree(
    devices: int,
    board: Board = CONSTANT,
    link: dict[str, Any] | None = None,
    reload_bytes_per_s: int = 0,
    frames: int = FRAMES,
) -> ScenarioResult:
    """Return how the tree runs on so many devices; without a link, what passes is free.

    With a rate, each node is loaded from disk for each frame.
    """
    homes = {node: home for home, nodes in HOMES[devices].items() for node in nodes.split()}
    programs = {
        node: {
            "on": home,
            **_work(node, board),
            "setup": _setup(node, reload_bytes_per_s),
            "then": [
                {"to": child, "share": str(share), "bytes": FEATURES[node]}
                | ({"over": "link"} if link else {})
                for child, share in SHARES.get(node, {}).items()
            ],
        }
        for node, home in homes.items()
    }
    programs["root"] |= {"arrive": "always", "jobs": frames, "window": 4 * devices}
    count = {"front": 2} if devices == 4 else {}
    return world(
        devices={home: board.entry | {"count": count.get(home, 1)} for home in HOMES[devices]},
        links={"link": link} if link else {},
        programs=programs,
    )


def _work(node: str, board: Board) -> dict[str, str]:
    """Return what a node does: its time on the board, simulated once, or its MACs."""
    if "rate" in board.entry:
        return {"trace": "mnn-tree", "part": f"{node} phase=forward"}
    took = node_times_ps(board.entry["hardware"])[node]
    energy = f"{node_energies_aj(board.entry['hardware'])[node]} aJ"
    return {"time": f"{took} ps", "energy": energy}


def _setup(node: str, bytes_per_s: int) -> str:
    return f"{FILES[node] * 10**12 // bytes_per_s if bytes_per_s else 0} ps"


@cache
def _nodes(hardware: str) -> ScenarioResult:
    programs = {
        node: {
            "on": node, "trace": "mnn-tree", "part": f"{node} phase=forward",
            "arrive": "always", "jobs": 2,
        }
        for node in FILES
    }  # fmt: skip
    devices = {node: {"hardware": hardware, "boundary": "board"} for node in FILES}
    return world(devices=devices, programs=programs)


def node_times_ps(hardware: str) -> dict[str, int]:
    """Return how long each node takes on a device, after itself."""
    jobs = {job.program: job.end_ps - job.start_ps for job in _nodes(hardware).played.jobs}
    return dict(zip(FILES, (jobs[number] for number in range(len(FILES))), strict=True))


def node_energies_aj(hardware: str) -> dict[str, int]:
    """Return the dynamic energy of each node, after itself."""
    rows = _nodes(hardware).programs
    return {each["program"]: each["dynamic_aj"] // each["jobs"] for each in rows}


def speedup(devices: int, board: Board = CONSTANT, link: dict[str, Any] | None = None) -> float:
    """Return the throughput bound of so many devices over that of one, without reloads."""
    alone = tree(1, board).total["bound_per_s"]
    bound: float = tree(devices, board, link).total["bound_per_s"]
    return bound / alone


def energy_saved(
    devices: int, board: Board = CONSTANT, reload_share: float = 0.0
) -> tuple[float, float]:
    """Return by how much the energy per frame changes: of one device on average, of all together.

    `reload_share` is what the single device needs for reloads, in shares of its computing. A board
    of constant power saves what it saves in time. Of a simulated one ops take the same wherever
    they run, of which each of four has a quarter, and the rest of the board all the time.
    """
    disk = _disk(reload_share / tree(1, board).total["bound_per_s"]) if reload_share else 0
    alone = tree(1, board, None, disk, 10 * FRAMES).total["energy_per_frame_j"]
    together = tree(devices, board, frames=10 * FRAMES).total["energy_per_frame_j"]
    return together / devices / alone - 1, together / alone - 1


def reload_share_for(speed: float, board: Board = CONSTANT) -> float:
    """Return how long reloads take the single device, in shares of its computing, at a speed-up."""
    return speed / speedup(4, board) - 1


def memory_saved(devices: int, sizes: dict[str, int]) -> float:
    """Return by how much the largest device's share of all nodes is less than all of them."""
    largest = max(sum(sizes[node] for node in nodes.split()) for nodes in HOMES[devices].values())
    return largest / sum(sizes.values()) - 1


def weights() -> dict[str, int]:
    """Return the bytes of each node's parameters."""
    rows = tree(1).programs
    return {node: row(rows, program=node)["weights_bytes"] for node in FILES}


RATES_MBPS = (10, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200)
RELOADS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
"""Reload time of a frame on the single device, as a share of its compute time."""


def map_of_speedups(medium: str, board: Board = PI) -> list[list[float]]:
    """Return the speed-up of four devices by reload share (rows) and link rate (columns)."""
    links = [ETHERNET | {"rate": f"{rate} Mb/s", "medium": medium} for rate in RATES_MBPS]
    bounds = [tree(4, board, link).total["bound_per_s"] for link in links]
    busy_s = 1 / tree(1, board).total["bound_per_s"]
    return [[bound * _loaded_s(board, busy_s, share) for bound in bounds] for share in RELOADS]


def _loaded_s(board: Board, busy_s: float, share: float) -> float:
    """Return the time of a frame on one device with reloads that take a share of `busy_s`."""
    if not share:
        return busy_s
    loaded = tree(1, board, reload_bytes_per_s=_disk(share * busy_s))
    return float(1 / loaded.total["bound_per_s"])


def _disk(seconds_per_frame: float) -> int:
    """Return the rate of a disk that takes so long for the nodes of a frame on average."""
    visits = {"root": 1.0, "sg1": 0.2, "sg2": 0.2, "sg3": 0.6, "sg4": 0.2, "sg5": 0.2}
    return round(sum(FILES[node] * share for node, share in visits.items()) / seconds_per_frame)


def drawn() -> LevelMap:
    """Return the map of both media, with the published speed-up as its line."""
    share = reload_share_for(SPEEDUP, PI)
    return LevelMap(
        f"A speed-up of {SPEEDUP} needs reloads of at least {share:.0%} of the computing time, and "
        "a link of more than 25 Mb/s, or 45 Mb/s if it is shared",
        "Tree of six networks on four Raspberry Pi 4 (simulated) over one (simulated, nodes read "
        "from disk for each frame). The published figures leave both axes open: any point on the "
        "line explains them.",
        "link rate (Mb/s)",
        "reload time / compute time of a frame",
        "speed-up of four devices",
        RATES_MBPS,
        RELOADS,
        {"switched": map_of_speedups("full"), "shared medium": map_of_speedups("shared")},
        SPEEDUP,
    )
