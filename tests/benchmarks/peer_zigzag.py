"""ZigZag on one topology, in its own environment: see `peers`.

python peer_zigzag.py LAYERS.json OUT searches a mapping for each layer on the 32 x 32 array that
ZigZag ships (`tpu_like`, weights stay) and prints the cycles, DRAM included. Search by LOMA for
least latency with the interface's own settings (6 loop prime factors, uneven), under the one
spatial mapping that ships with the array: K x C.
"""

import json
import sys
from pathlib import Path

import zigzag
from zigzag.api import get_hardware_performance_zigzag

INPUTS = Path(zigzag.__file__).parent / "inputs"
LOOP_PRIME_FACTORS = 6


def layer(number, name, sizes):
    """Return a convolution as ZigZag reads it; its array keeps sums in 16 bits."""
    stride = sizes["stride"]
    return {
        "id": number,
        "name": name,
        "operator_type": "Conv",
        "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
        "loop_dims": ["B", "K", "C", "OY", "OX", "FY", "FX"],
        "loop_sizes": [
            1, sizes["num_filters"], sizes["channels"], sizes["out_h"], sizes["out_w"],
            sizes["filt_h"], sizes["filt_w"],
        ],
        "operand_precision": {"I": 8, "W": 8, "O": 16, "O_final": 8},
        "operand_source": {"I": number, "W": number},
    }  # fmt: skip


def main():
    layers, out = sys.argv[1:]
    rows = json.loads(Path(layers).read_text())
    _, cycles, _ = get_hardware_performance_zigzag(
        [layer(number, *row) for number, row in enumerate(rows)],
        str(INPUTS / "hardware/tpu_like.yaml"),
        str(INPUTS / "mapping/tpu_like.yaml"),
        opt="latency",
        dump_folder=out,
        lpf_limit=LOOP_PRIME_FACTORS,
        nb_spatial_mappings_generated=1,
        loma_show_progress_bar=False,
    )
    print(int(cycles))


if __name__ == "__main__":
    main()
