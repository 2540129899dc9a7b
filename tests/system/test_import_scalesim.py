"""Topologies of SCALE-Sim become traces, or one sentence of what is wrong."""

import pytest

from simulator.trace.importers import IMPORTERS, detect
from tests.system.import_samples import refused


def topology(tmp_path, *lines):
    path = tmp_path / "net.csv"
    path.write_text("\n".join(lines))
    return path


CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter"


def sizes(trace):
    return [(g.batch, g.m, g.n, g.k) for op in trace.steps[0].ops for g in op.gemms]


@pytest.mark.parametrize("header", ["Layer,M,N,K,", ""])
def test_gemm_topologies(header, tmp_path):
    path = topology(tmp_path, header, "a, 16, 8, 4,", "b,1,2,3")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 16, 8, 4), (1, 1, 2, 3)]
    assert detect(path) == "scalesim"


def test_gemm_columns_go_by_their_names(tmp_path):
    path = topology(tmp_path, "Layer,K,M,N", "a,4,16,8")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 16, 8, 4)]


def test_convolution_topologies(tmp_path):
    path = topology(tmp_path, f"{CONV}, Strides,", "c, 34, 34, 3, 3, 16, 32, 1,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)]
    assert detect(path) == "scalesim"


def test_dense_sparsity_columns_are_read_over(tmp_path):
    path = topology(tmp_path, f"{CONV}, Strides, Sparsity", "c, 34, 34, 3, 3, 16, 32, 1, 1:1,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("Layer,M,N,K", "a,16,8"), ("line 2", "4 columns")),
        (("Layer,M,N,K", "a,16,8,4,2,2,2,1"), ("line 2", "4 columns")),
        ((f"{CONV}, Strides", "a,16,8,4"), ("line 2", "8 columns")),
        (("Layer,M,N,K", "a,16,8,x"), ("line 2", "whole numbers")),
        (("Layer,M,N,K", "a,16,0,4"), ("line 2", "1 or more")),
        (("Layer,M,N,K", "a,16,8,4,2:4"), ("line 2", "2:4", "dense")),
        (("a,3,3,5,5,1,1,1",), ("line 1", "larger than its input")),
        (("Layer,M,N,K",), ("no layers",)),
    ],
)
def test_topologies_that_do_not_fit_are_refused(lines, words, tmp_path):
    refused("scalesim", topology(tmp_path, *lines), *words)
