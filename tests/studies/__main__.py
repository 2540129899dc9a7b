"""Prints what the studies come to beside what is published: `python -m tests.studies [DIR]`.

With a folder, the map of the tree's speed-ups is drawn into it.
"""

import sys
from pathlib import Path

from simulator.views.plots import draw_level_map
from tests.studies import encoding, hierarchy, splitting


def main() -> None:
    """Print the figures, study by study."""
    tree()
    splits()
    codes()
    if sys.argv[1:]:
        draw_level_map(hierarchy.drawn(), Path(sys.argv[1]) / "tree_speedup.png")


def tree() -> None:
    """Print speed-up, energy and memory of the tree."""
    print("Tree of networks on Raspberry Pis; published for four: 3.21 x, -68 %, -58 %, 1.25 x")
    for board in (hierarchy.CONSTANT, hierarchy.PI):
        for devices in (4, 3, 2):
            each, together = hierarchy.energy_saved(devices, board)
            print(
                f"  {board.name:16} {devices} devices: {hierarchy.speedup(devices, board):.2f} x, "
                f"energy per frame {each:+.1%} per device, {1 + together:.2f} x together"
            )
        share = hierarchy.reload_share_for(hierarchy.SPEEDUP, board)
        each, together = hierarchy.energy_saved(4, board, share)
        print(
            f"  {board.name:16} {hierarchy.SPEEDUP} x with reloads of {share:.1%} of compute time: "
            f"{each:+.1%} per device, {1 + together:.2f} x together"
        )
    sizes = {"files": hierarchy.FILES, "weights": hierarchy.weights()}
    for name, by_node in sizes.items():
        print(f"  largest device of four, by {name}: {hierarchy.memory_saved(4, by_node):+.1%}")


def splits() -> None:
    """Print the best split of ResNet-18 by link rate, and where it gives way to the image."""
    print("ResNet-18 split behind stage 1 to 5 (0: image sent, 6: all on the device)")
    for hardware in (None, "raspberry-pi-4", "edge-16x16"):
        best = [splitting.best(mbps, hardware=hardware) for mbps in splitting.RATES_MBPS]
        cells = [
            f"{mbps} Mb/s: {split} in {latency * 1e3:.3g} ms"
            for mbps, (split, latency) in zip(splitting.RATES_MBPS, best, strict=True)
        ]
        crossover = splitting.crossover_mbps(4, hardware)
        name = hardware or f"{splitting.DEVICE / 1e9:g} GMAC/s"
        print(f"  {name}: {'; '.join(cells)}; the image from {crossover:.3g} Mb/s on")


def codes() -> None:
    """Print what the encoder spares."""
    print("Entropic encoder, 2.25 KB against a JPEG of 11 KB")
    lora = [encoding.link_s(size) for size in (encoding.CODE, encoding.JPEG)]
    print(f"  at 37.5 kb/s {lora[0]:.2f} s against {lora[1]:.2f} s")
    for hardware in ("raspberry-pi-4", "edge-16x16"):
        took = encoding.encoder_ps(hardware)
        rate = encoding.crossover_bps(took) / 1e6
        print(f"  {hardware}: encodes in {took / 1e9:.1f} ms; the JPEG is faster from "
              f"{rate:.3g} Mb/s on")  # fmt: skip


if __name__ == "__main__":
    main()
