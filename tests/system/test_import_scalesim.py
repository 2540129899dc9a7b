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
        (("Layer,M,N,K", "a,16,8,4,2"), ("line 2", "4 columns")),
        (("Layer,M,N,K", "a,16,,4"), ("line 2", "N is empty")),
        (("Layer,M,N,K", "a,16,8 9,4"), ("line 2", "N is '8 9'", "comma")),
        (("Layer,M,N,K", "a,B,8,4"), ("line 2", "M is 'B'")),
        (("Layer,M,N,M", "a,16,8,4"), ("line 1", "header")),
        (("Layer,M,N,K", "a,99999999999999999999,8,4"), ("line 2", "M", "64 bits")),
        (("Layer,M,N,K", "a,9000000000,9000000000,4"), ("line 2", "64 bits")),
        ((f"{CONV}, Strides", f"a,{10**9},{10**9},{10**9},{10**9},{10**9},1,1"), ("64 bits",)),
        ((f"{CONV}, Strides, Bases", "a,34,34,3,3,16,32,1,5"), ("line 2", "'Bases'", "remove")),
        ((CONV, "a,34,34,3,3,16,32,"), ("line 1", "Strides is missing")),
        ((f"{CONV}, Strides, Groups", "a,34,34,3,3,16,32,1,3"), ("line 2", "groups")),
        (
            ("Layer, IFMAP Height Intraline Factor, IFMAP Width Intraline Factor", "a,4,2"),
            ("layout of SCALE-Sim", "lists the layers"),
        ),
        (
            ("LayerID, Total Cycles (incl. prefetch), Total Cycles", "0,100,90"),
            ("report of SCALE-Sim",),
        ),
        (("Layer,\tCycles,\t% Utilization,", "Conv1,\t1,\t99.0,"), ("report of SCALE-Sim",)),
        (("[general]", "run_name = a"), ("configuration of SCALE-Sim",)),
    ],
)
def test_topologies_that_do_not_fit_are_refused(lines, words, tmp_path):
    refused("scalesim", topology(tmp_path, *lines), *words)


def test_layouts_and_reports_are_told_apart_without_naming_the_form(tmp_path):
    for first in ("[general]", "LayerID, Total Cycles,", "Layer name, Channel Intraline Order,"):
        refused("auto", topology(tmp_path, first, "a,1,2"), "SCALE-Sim, not a topology")


def test_convolution_columns_go_by_their_names(tmp_path):
    header = "Strides, Num Filter, Channels, Filter W, Filter H, IFMAP W, IFMAP H"
    path = topology(tmp_path, f"Name, {header},", "c, 1, 32, 16, 2, 3, 34, 35,")
    conv = IMPORTERS["scalesim"](path).steps[0].ops[0].gemms[0].conv
    assert (conv.in_channels, conv.out_channels) == (16, 32)
    assert (conv.input, conv.kernel, conv.output) == ((35, 34), (3, 2), (33, 33))


def test_two_columns_of_one_title_are_height_and_width(tmp_path):
    header = "Layer, IFMAP Width, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter"
    path = topology(tmp_path, f"{header}, Stride, Stride", "c, 9, 21, 1, 1, 1, 1, 2, 4,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 5 * 6, 1, 1)]


def test_strides_may_differ_by_dimension(tmp_path):
    path = topology(tmp_path, f"{CONV}, Stride height, Stride width,", "c,9,9,1,1,1,1,4,2,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 3 * 5, 1, 1)]


def test_a_stride_that_does_not_divide_rounds_up_as_in_scale_sim(tmp_path):
    # The first layer of AlexNet: ceil((224 - 11 + 4) / 4) = 55, in SCALE-Sim's topology_utils.py.
    path = topology(tmp_path, f"{CONV}, Strides,", "Conv1, 224, 224, 11, 11, 3, 96, 4,")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 55 * 55, 96, 11 * 11 * 3)]


@pytest.mark.parametrize(("batch", "said"), [("4,", "batch 4"), ("1", "batch 1"), ("", "batch 1")])
def test_samples_of_a_batch_share_weights(batch, said, tmp_path):
    images = int(batch.strip(",") or 1)
    path = topology(tmp_path, f"{CONV}, Strides, Batch Size", f"c,34,34,3,3,16,32,1,{batch}")
    trace = IMPORTERS["scalesim"](path)
    assert sizes(trace) == [(1, images * 32 * 32, 32, 16 * 9)]
    assert trace.steps[0].ops[0].inputs[0].shape == (images, 16, 34, 34)
    assert trace.origin["inferred"].endswith(said)
    path = topology(tmp_path, "Layer,M,N,K,Batch", f"g,5,6,7,{batch}")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, images * 5, 6, 7)]


def test_notes_behind_rows_and_beside_the_table_are_read_over(tmp_path):
    row = "c, 34, 34, 3, 3, 16, 32, 1,"
    path = topology(tmp_path, f"{CONV}, Strides,,,Eh,Ew", "# block", f"{row},,32,32", row)
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)] * 2
    path = topology(tmp_path, f"{CONV}, Strides,", "", f"{row}#dw", "second part,,,", f"{row} as")
    assert sizes(IMPORTERS["scalesim"](path)) == [(1, 32 * 32, 32, 16 * 9)] * 2


def test_layers_without_a_name_are_numbered(tmp_path):
    path = topology(tmp_path, "Layer,M,N,K,", "a,16,8,4,", ",1,2,3,")
    trace = IMPORTERS["scalesim"](path)
    assert sizes(trace) == [(1, 16, 8, 4), (1, 1, 2, 3)]
    assert [op.layer for op in trace.steps[0].ops] == ["a", "layer1"]
    assert sizes(IMPORTERS["scalesim"](topology(tmp_path, "M,N,K", "1,2,3"))) == [(1, 1, 2, 3)]


def test_depthwise_rows_run_channel_by_channel(tmp_path):
    # SCALE-Sim takes a row named DP for as many layers of one channel as it has channels.
    path = topology(tmp_path, f"{CONV}, Strides,", "DP1, 34, 34, 3, 3, 16, 1, 1,")
    trace = IMPORTERS["scalesim"](path)
    assert sizes(trace) == [(16, 32 * 32, 1, 9)]
    assert trace.steps[0].ops[0].inputs[1].shape == (16, 1, 3, 3)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_spreadsheets(separator, tmp_path):
    path = topology(tmp_path, *("Layer,M,N,K\na,16,8,4".replace(",", separator).split("\n")))
    assert sizes(IMPORTERS["auto"](path)) == [(1, 16, 8, 4)]
    path.write_bytes(path.read_text().encode("utf-16"))
    assert sizes(IMPORTERS["auto"](path)) == [(1, 16, 8, 4)]
