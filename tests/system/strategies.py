"""Random training steps and machines for property tests."""

from hypothesis import strategies as st

from simulator.trace.op import Conv, Gemm, Op, OpKind, Phase, Role
from simulator.trace.trace import Segment, StepKind, StorageKind, Trace
from tests.builders import StepBuilder, machine

SIZES = st.integers(1, 200)


def conv_op(builder, images, channels, filters, size, kernel, stride, role, groups, transposed):
    """Append one convolution's GEMM of `role`, with its geometry; channels are per group."""
    pad = kernel // 2
    if transposed:
        out = (size - 1) * stride - 2 * pad + kernel
    else:
        out = (size + 2 * pad - kernel) // stride + 1
    conv = Conv(
        images, groups * channels, groups * filters, (size, size), (out, out), (kernel, kernel),
        (stride, stride), (pad, pad), (1, 1), groups, transposed,
    )  # fmt: skip
    x = builder.tensor(images, groups * channels, size, size)
    w = builder.tensor(groups * filters, channels, kernel, kernel, kind=StorageKind.PARAMETER)
    y = builder.tensor(images, groups * filters, out, out)
    taps, p, q = kernel * kernel, images * out * out, images * size * size
    if transposed:
        sizes = {
            Role.FORWARD: (q, filters * taps, channels),
            Role.DGRAD: (q, channels, filters * taps),
            Role.WGRAD: (channels, filters * taps, q),
        }[role]
    else:
        sizes = {
            Role.FORWARD: (p, filters, channels * taps),
            Role.DGRAD: (p, channels * taps, filters),
            Role.WGRAD: (filters, channels * taps, p),
        }[role]
    a, b, c = {
        Role.FORWARD: (x, w, y),
        Role.DGRAD: (y, w, x),
        Role.WGRAD: (x, y, w) if transposed else (y, x, w),
    }[role]
    gemm = Gemm(role, groups, *sizes, 0, 1, 0, conv)
    phase = Phase(role.value)
    builder.ops.append(Op("aten.convolution", OpKind.GEMM, phase, "conv", (a, b), (c,), (gemm,)))
    return c


@st.composite
def steps(draw):
    """A step of a few GEMMs, convolutions and elementwise ops, partly in a chain."""
    builder = StepBuilder()
    x = builder.tensor(draw(SIZES), draw(SIZES))
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["gemm", "conv", "act", "update", "view"]))
        if kind == "gemm":
            m, k = (x.shape[0], x.shape[1]) if len(x.shape) == 2 else (draw(SIZES), draw(SIZES))
            a = x if len(x.shape) == 2 else None
            role = draw(st.sampled_from([Role.FORWARD, Role.DGRAD, Role.WGRAD]))
            x = builder.gemm(m, draw(SIZES), k, a=a, phase=Phase(role.value), role=role)
        elif kind == "conv":
            small = st.integers(1, 20)
            conv_op(
                builder,
                images=draw(st.integers(1, 3)),
                channels=draw(small),
                filters=draw(small),
                size=draw(st.integers(3, 16)),
                kernel=draw(st.sampled_from([1, 3])),
                stride=draw(st.sampled_from([1, 2])),
                role=draw(st.sampled_from([Role.FORWARD, Role.DGRAD, Role.WGRAD])),
                groups=draw(st.sampled_from([1, 1, 2])),
                transposed=draw(st.booleans()),
            )
        elif kind == "act":
            x = builder.elementwise(x)
        elif kind == "view":
            builder.ops.append(Op("aten.view", OpKind.VIEW, Phase.FORWARD, "", (x,), (x,)))
        else:
            builder.elementwise(builder.tensor(draw(SIZES)), phase=Phase.OPTIMIZER)
    return builder.step(draw(st.sampled_from([StepKind.TRAIN, StepKind.EVAL])))


@st.composite
def traces(draw):
    """A trace of up to three distinct steps over a few epochs."""
    distinct = tuple(draw(st.lists(steps(), min_size=1, max_size=3)))
    used = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, len(distinct) - 1), st.integers(1, 50)),
            min_size=1,
            max_size=6,
        )
    )
    segments = tuple(Segment(*row) for row in sorted(used, key=lambda row: row[0]))
    return Trace("random", distinct, segments)


@st.composite
def machines(draw):
    """A variation of the edge SoC."""
    if draw(st.integers(0, 5)) == 0:
        return machine("cpu-only")
    npu = draw(st.integers(0, 3)) == 0
    fusion = draw(st.sampled_from(["none", "epilogue", "chains"]))
    return machine(
        "edge-16x16-npu" if npu else "edge-16x16",
        runtime__fusion=fusion if npu else "none",
        accelerator__rows=draw(st.sampled_from([1, 4, 8, 16, 32])),
        accelerator__cols=draw(st.sampled_from([1, 8, 16, 64])),
        accelerator__dataflow=draw(st.sampled_from(["ws", "os", "is"])),
        accelerator__overlap=draw(st.sampled_from(["none", "preload", "full"])),
        accelerator__structure=draw(st.sampled_from(["systolic", "broadcast"])),
        accelerator__precision=draw(st.sampled_from(["int8", "fp32", "bf16"])),
        accelerator__on_unsupported_precision=draw(
            st.sampled_from(["quantise", "cpu", "multipass"])
        ),
        accelerator__im2col=draw(st.sampled_from(["hardware", "software"])),
        accelerator__dgrad=draw(st.sampled_from(["col2im", "direct"])),
        accelerator__transposer=draw(st.sampled_from(["true", "false"])),
        accelerator__clock=draw(st.sampled_from(["1 GHz", "1.2 GHz", "333 MHz"])),
        runtime__issue=draw(st.sampled_from(["synchronous", "in_order", "dataflow"])),
        runtime__conversions=draw(
            st.sampled_from(["fused", "eager", "unit", *(["vector"] if npu else [])])
        ),
        runtime__first_call=draw(st.sampled_from(["0 s", "1 ms"])),
        dram__preset=draw(
            st.sampled_from(["LPDDR4-3200_x32_1ch", "DDR4-3200_x64_2ch", "HBM2_8ch", "ideal"])
        ),
    )
