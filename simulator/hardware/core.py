"""Costs of the kernels of eager PyTorch on a class of cores, for CPUs without calibration."""

from pydantic import Field

from simulator.hardware.part import Part
from simulator.units import BytesPerSecond, Cycles, Millicycles, Permille


class Core(Part):
    """Costs of a class of cores, in cycles of one of them, so that they follow `cpu.clock`.

    `hwconfigs/cores` has the classes that `cpu.core` names. Costs of kernels are per element of
    the largest tensor, beside the memory's time; those of convolutions belong to the libraries
    that `cpu.convolutions` may name.
    """

    elementwise: Millicycles = Field(ge=0, description="load, load, add, store, in vectors")
    division: Millicycles = Field(ge=0, description="division and square root")
    exponential: Millicycles = Field(ge=0, description="exp, sigmoid, SiLU, logarithm")
    erf: Millicycles = Field(ge=0, description="erf and tanh: GELU, gates")
    reduction: Millicycles = Field(ge=0)
    norm: Millicycles = Field(ge=0, description="each statistic, accumulated in double precision")
    softmax: Millicycles = Field(ge=0, description="each element of a row, all passes")
    pool: Millicycles = Field(ge=0, description="each element of the input")
    copies: Millicycles = Field(ge=0, description="copies and layout changes")
    embedding: Millicycles = Field(ge=0)
    random: Millicycles = Field(ge=0, description="a draw, on one core")
    sort: Millicycles = Field(ge=0)
    product_pack: Millicycles = Field(ge=0, description="of BLAS, each element of its matrices")
    aside: Permille = Field(
        gt=0, le=1000, description="of `gemm_efficiency`, where each core multiplies matrices alone"
    )
    product_fork: Cycles = Field(ge=0, description="BLAS splits a product over the cores")
    inner_dispatch: Cycles = Field(ge=0, description="an operation that a kernel calls itself")
    fork: Cycles = Field(ge=0, description="threads of a parallel loop start and join")
    unfold: Millicycles = Field(ge=0, description="im2col, each element of the columns")
    fold: Millicycles = Field(ge=0, description="col2im, each element of the columns")
    row_start: Millicycles = Field(ge=0, description="of either, each row of each tap")
    pack: Millicycles = Field(ge=0, description="NNPACK's implicit GEMM, each packed element")
    packed_efficiency: Permille = Field(gt=0, le=1000, description="of peak, after packing")
    transform: Millicycles = Field(ge=0, description="Fourier or Winograd, each element of a tile")
    tuple_efficiency: Permille = Field(gt=0, le=1000, description="of peak, between transforms")
    page_walk: Cycles = Field(ge=0, description="a store of a tuple to a page of its own")
    first_touch: BytesPerSecond = Field(gt=0, description="pages that the system zeroes first")
    narrow_floats: bool = Field(description="computes in fp16 and bf16; else it converts")
    narrow_conversion: Millicycles = Field(ge=0, description="to fp32 and back, where it must")
    narrow_product: Permille = Field(gt=0, le=1000, description="of fp32's rate, where it must")
