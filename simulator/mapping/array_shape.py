"""The problem shape that an array executes for a GEMM."""

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS
from simulator.mapping.convolution import ConvShape
from simulator.mapping.layout import Layout, below_diagonal
from simulator.mapping.problem import Epilogue, OperandBits, ProblemShape, Widths
from simulator.mapping.shape import GemmShape
from simulator.mapping.taps import Taps
from simulator.mapping.tensor_layout import LAYOUTS
from simulator.timing.dataflows import Dataflow, Dims, dataflow_of
from simulator.trace.op import Gemm, Role


def shape_of(
    gemm: Gemm,
    layout: Layout,
    array: Accelerator,
    out_bits: int,
    *,
    passes: int = 1,
    operands: tuple[OperandBits, OperandBits] | None = None,
    cached: frozenset[str] = frozenset(),
    epilogue: Epilogue | None = None,
    resident: frozenset[str] = frozenset(),
) -> ProblemShape:
    """Return what `array`, at its own precision, executes for `gemm`, laid out as `layout`.

    Outputs have `out_bits`; a product of wide operands may take several `passes`. `operands` says
    how a and b lie in memory and scratchpad, without it in the bits of the array. Of
    "a", "b" and "c", a shared cache serves those in `cached`. A vector unit does `epilogue` to the
    outputs, of which `out_bits` is then the sum. What is `resident` in the scratchpad does not
    move. Of a causal product the array skips blocks of its own size above the diagonal.
    """
    sum_bits = PRECISION_BITS[array.accumulator_precision]
    widths = Widths(PRECISION_BITS[array.precision], out_bits, sum_bits, *(operands or ()))
    repeats, dataflow = gemm.batch * passes, _dataflow(gemm, array)
    if layout.taps:
        return _convolution(
            layout.taps, array, repeats, widths, dataflow, cached, epilogue, resident
        )
    streams = array.command and dataflow.axes.stream == "m"
    return GemmShape(
        repeats,
        _dims(gemm, layout, array),
        widths,
        dataflow,
        layout.window_a,
        layout.window_b,
        blocked=LAYOUTS[array.layout].blocked,
        scatter=layout.scatter,
        command=(array.rows, array.command) if streams else (0, 0),
        cached=cached,
        epilogue=epilogue,
        resident=resident,
    )


def _convolution(
    taps: Taps,
    array: Accelerator,
    repeats: int,
    widths: Widths,
    dataflow: Dataflow,
    cached: frozenset[str],
    epilogue: Epilogue | None,
    resident: frozenset[str],
) -> ConvShape:
    return ConvShape(
        repeats,
        taps,
        widths,
        dataflow,
        LAYOUTS[array.layout],
        word_bits=8 * array.dma.word,
        out_row=array.cols,
        command=(array.rows, array.command),
        weight_tile=(array.rows * array.dot_width, array.cols) if array.padded else None,
        cached=cached,
        epilogue=epilogue,
        resident=resident,
    )


def _dataflow(gemm: Gemm, array: Accelerator) -> Dataflow:
    if gemm.role is Role.WGRAD and array.wgrad_dataflow:
        return dataflow_of(array.wgrad_dataflow)
    return dataflow_of(array.dataflow)


def _dims(gemm: Gemm, layout: Layout, array: Accelerator) -> Dims:
    if not gemm.causal:
        return layout.dims
    dense = below_diagonal(gemm, max(array.rows, array.cols))
    return Dims(dense.m, dense.n, dense.k)
