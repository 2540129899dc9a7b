"""SCALE-Sim on one topology, in its own environment: see `peers`.

python peer_scalesim.py TOPOLOGY CONFIG OUT traces|no-traces calls its Python interface, since the
command line of 3.0.0 ignores the option that leaves traces out, and that of 2.0.2 has none.
"""

import inspect
import sys

from scalesim.scale_sim import scalesim


def main():
    topology, config, out, traces = sys.argv[1:]
    # Version 3 wants a file of layouts, which counts only where a layout is custom: none is here.
    layout = {"layout": topology} if "layout" in inspect.signature(scalesim).parameters else {}
    run = scalesim(
        save_disk_space=traces == "no-traces",
        verbose=False,
        config=config,
        topology=topology,
        **layout,
    )
    run.run_scale(top_path=out)


if __name__ == "__main__":
    main()
