"""What an op reads and writes, against bytes counted by hand and kernels walked line by line."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.lowering.cache import CacheContents
from simulator.trace.accesses import (
    KERNELS,
    LINE,
    NEAR,
    elements_of,
    lines_of,
    loops_of,
    moved_bytes,
)
from simulator.trace.op import Op, OpKind, Phase, Tensor, contiguous
from tests.unit.test_cache import LineCache

KIB, MIB = 1024, 1024 * 1024


def tensor(storage, *shape, dtype="float32", strides=None, offset=0):
    return Tensor(storage, dtype, shape, strides or contiguous(shape), offset)


def op(name, inputs, outputs, kind=OpKind.OTHER):
    return Op(f"aten.{name}.default", kind, Phase.FORWARD, "", tuple(inputs), tuple(outputs))


def memory(found, cache=0):
    """Return the bytes read from and written to memory by an op behind an empty cache."""
    llc = CacheContents(cache)
    moved = llc.walk(loops_of(found))
    left = sum(line.dirty for _, line in llc.lines)
    return sum(moved.reads), sum(moved.writes) + left


def batch_norm(shape, *, train=True, strides=None):
    channels = shape[1]
    x, y = (tensor(i, *shape, strides=strides) for i in (0, 1))
    parameters = [tensor(2 + i, channels) for i in range(4)]  # weight, bias, running mean and var
    saved = [tensor(6 + i, channels if train else 0) for i in range(2)]
    running = parameters[2:] if train else []
    return op("native_batch_norm", [x, *parameters], [*running, y, *saved], OpKind.NORM)


def batch_norm_backward(shape, *, train=True):
    channels = shape[1]
    gradient, x, made = (tensor(i, *shape) for i in range(3))
    parameters = [tensor(3 + i, channels) for i in range(3)]  # weight, running mean and variance
    saved = [tensor(6 + i, channels if train else 0) for i in range(2)]
    results = [made, tensor(8, channels), tensor(9, channels)]
    return op("native_batch_norm_backward", [gradient, x, *parameters, *saved], results)


# Norms: X = 32 x 64 x 56 x 56 x 4 B = 25.7 MB, a channel of all images 392 KiB, beside which what
# is as long as the channels is 256 B each.
SHAPE, X, SMALL = (32, 64, 56, 56), 25_690_112, 64 * 4


@pytest.mark.parametrize(
    ("cache", "reads"),
    [(0, 3), (256 * KIB, 3), (512 * KIB, 2), (24 * MIB, 2), (64 * MIB, 1)],
)
def test_a_batch_norm_reads_three_times_unless_a_channel_or_all_stays_in_the_cache(cache, reads):
    assert memory(batch_norm(SHAPE), cache) == (reads * X + 4 * SMALL, X + 4 * SMALL)


@pytest.mark.parametrize("cache", [0, 512 * KIB, 64 * MIB])
def test_a_batch_norm_in_evaluation_is_one_pass(cache):
    assert memory(batch_norm(SHAPE, train=False), cache) == (X + 4 * SMALL, X)


def test_a_batch_norm_over_channels_last_walks_over_all_before_it_comes_back():
    _, c, h, w = SHAPE
    found = batch_norm(SHAPE, strides=(c * h * w, 1, w * c, c))
    assert memory(found, 512 * KIB) == (3 * X + 4 * SMALL, X + 4 * SMALL)


@pytest.mark.parametrize(("cache", "reads"), [(0, 4), (1 * MIB, 4), (1200 * KIB, 2), (96 * MIB, 2)])
def test_the_backward_of_a_batch_norm_reads_both_twice(cache, reads):
    """Of a channel the gradient, the input and the result have 1176 KiB."""
    assert memory(batch_norm_backward(SHAPE), cache) == (reads * X + 5 * SMALL, X + 2 * SMALL)


def test_the_backward_of_a_frozen_batch_norm_reads_the_input_once():
    read, written = memory(batch_norm_backward(SHAPE, train=False))
    assert (read, written) == (3 * X + 3 * SMALL, X + 2 * SMALL)


def walked(shape, cache):
    """Scan a batch norm's forward pass line by line, as batch_norm_kernel.cpp orders it."""
    images, channels, lines = shape
    memory = LineCache(cache)
    for channel, _, image, line in product(range(channels), range(2), range(images), range(lines)):
        memory._touch(("x", image, channel, line), False)
    for image, channel, line in product(range(images), range(channels), range(lines)):
        memory._touch(("x", image, channel, line), False)
        memory._touch(("y", image, channel, line), True)
    return memory.read, memory.written + memory.unwritten


@pytest.mark.parametrize("cache", [40 * KIB, 96 * KIB, 300 * KIB, 2 * MIB])
def test_a_batch_norm_moves_what_a_cache_of_lines_moves(cache):
    """A channel of all images has 64 KiB, input and output 512 KiB each."""
    images, channels, lines = 4, 8, 256
    shape = (images, channels, lines * LINE // 4)
    x, y = tensor(0, *shape), tensor(1, *shape)
    found = op("native_batch_norm", [x], [y, tensor(2, 1), tensor(3, 1)])
    read, written = memory(found, cache)
    by_lines = walked((images, channels, lines), cache)
    # A tail of the input that lingers is all that whole tensors cannot tell.
    assert (read, written - 8) == pytest.approx(by_lines, rel=0.02)


def test_rows_that_fit_the_first_cache_are_read_once():
    x, y = tensor(0, 2048, 768), tensor(1, 2048, 768)
    mean, deviation = tensor(2, 2048), tensor(3, 2048)
    found = op("native_layer_norm", [x], [y, mean, deviation])
    size = 2048 * 768 * 4
    assert memory(found) == (size, size + 2 * 2048 * 4)
    assert moved_bytes(found) == 2 * size + 2 * 2048 * 4


def test_long_rows_come_from_the_last_cache_again_but_not_from_memory():
    """Rows of 50257: 196 KiB, input and output 393 KiB, beyond the first cache of 32 KiB."""
    x, y = tensor(0, 2048, 50257), tensor(1, 2048, 50257)
    found, size = op("_log_softmax", [x], [y]), 2048 * 50257 * 4
    assert memory(found, 512 * KIB) == (size, size)
    assert memory(found, 128 * KIB) == (3 * size, size)
    assert moved_bytes(found) == 4 * size
    assert CacheContents(512 * KIB).walk(loops_of(found)).cached == 4 * size


def test_a_group_norm_sums_up_all_channels_before_its_gradient():
    gradient, x, made = (tensor(i, *SHAPE) for i in range(3))
    found = op("native_group_norm_backward", [gradient, x], [made])
    assert memory(found, MIB) == (4 * X, X)


# Gathers and scatters


def test_a_loss_of_targets_reads_a_line_for_each():
    """2048 lines of 64 B, 2048 targets of 8 B: 0.15 MB, not the 412 MB of the table."""
    table, targets = tensor(0, 2048, 50257), tensor(1, 2048, dtype="int64")
    found = op("nll_loss_forward", [table, targets], [tensor(2, 1), tensor(3, 1)])
    assert memory(found) == (2048 * 64 + 2048 * 8, 8)
    assert elements_of(found) == 2048


def test_its_gradient_is_zeros_and_a_line_for_each_target():
    targets, made = tensor(1, 2048, dtype="int64"), tensor(3, 2048, 50257)
    inputs = [tensor(0, 1), targets, tensor(2, 1)]
    found, size = op("nll_loss_backward", inputs, [made]), 2048 * 50257 * 4
    assert memory(found) == (2048 * 64 + 2048 * 8 + 8, size + 2048 * 64)
    assert elements_of(found) == 2048 * 50257


def test_an_embedding_reads_rows_and_its_gradient_adds_to_them():
    """512 rows of 768: 3072 B each, 48 lines."""
    table, words, rows = tensor(0, 50257, 768), tensor(1, 512, dtype="int64"), tensor(2, 512, 768)
    size, all_rows = 50257 * 768 * 4, 512 * 3072
    forward = op("embedding", [table, words], [rows])
    assert memory(forward) == (all_rows + 512 * 8, all_rows)
    backward = op("embedding_dense_backward", [rows, words], [tensor(3, 50257, 768)])
    assert memory(backward) == (2 * all_rows + 512 * 8, size + all_rows)


def test_short_rows_take_whole_lines():
    table, places = tensor(0, 1_000_000, 3), tensor(1, 1000, dtype="int64")
    found = op("index_select", [table, places], [tensor(2, 1000, 3)])
    assert memory(found)[0] == 1000 * 64 + 1000 * 8


@pytest.mark.parametrize(("name", "copied"), [("scatter_add_", 0), ("scatter_add", 1)])
def test_a_scatter_reads_adds_and_writes_in_place_or_in_a_copy(name, copied):
    size, lines = 4_000_000, 1000 * 64
    table, places = tensor(0, 1_000_000), tensor(1, 1000, dtype="int64")
    result = tensor(3, 1_000_000) if copied else table
    found = op(name, [table, places, tensor(2, 1000)], [result])
    assert memory(found) == (copied * size + 12_000 + lines, copied * size + lines)


def test_an_accumulating_index_put_adds_rows():
    table, places = tensor(0, 100_000, 64), tensor(1, 1000, dtype="int64")
    found = op("index_put_", [table, places, tensor(2, 1000, 64)], [table])
    assert memory(found) == (2 * 256_000 + 8000, 256_000)
    assert elements_of(found) == 64_000


def test_a_pool_backward_writes_zeros_and_adds():
    gradient, made = tensor(0, 16, 16, 112, 112), tensor(1, 16, 16, 224, 224)
    size = 16 * 16 * 224 * 224 * 4
    found = op("avg_pool2d_backward", [gradient], [made])
    assert memory(found) == (size // 4 + size, 2 * size)


def test_the_gradient_of_a_slice_writes_zeros_over_all_and_then_the_slice():
    found = op("slice_backward", [tensor(0, 10, 1000)], [tensor(1, 100, 1000)])
    assert memory(found) == (40_000, 400_000 + 40_000)


# Buffers that no tensor names


def test_a_mean_square_writes_and_reads_a_loss_for_each_element():
    a, b, size = tensor(0, 1000, 1000), tensor(1, 1000, 1000), 4_000_000
    assert memory(op("mse_loss", [a, b], [tensor(2, 1)])) == (3 * size, size + 4)
    assert memory(op("mse_loss", [a, b], [tensor(2, 1000, 1000)])) == (2 * size, size)


def test_a_dropout_scales_its_result_in_place():
    x, y, mask = tensor(0, 1_000_000), tensor(1, 1_000_000), tensor(2, 1_000_000, dtype="bool")
    found = op("native_dropout", [x], [y, mask])
    assert memory(found) == (4_000_000 + 1_000_000 + 4_000_000, 1_000_000 + 8_000_000)


# Strides


@pytest.mark.parametrize(
    ("shape", "strides", "size"),
    [
        ((1000, 768), (768, 1), 1000 * 768 * 4),  # all of a matrix
        ((1000,), (768,), 1000 * 64),  # a column: a line each
        ((1000, 64), (768, 1), 1000 * 256),  # a band of columns: whole lines
        ((1000, 65), (768, 1), 1000 * 320),  # one more: a line more
        ((1000,), (2,), 999 * 8 + 4),  # every second element: both come
        ((768, 1000), (1, 768), 1000 * 768 * 4),  # transposed
        ((64, 1000), (0, 1), 4000),  # expanded
        ((0, 5), (5, 1), 0),
        ((), (), 4),
    ],
)
def test_strided_tensors_take_the_lines_they_lie_on(shape, strides, size):
    assert lines_of(tensor(0, *shape, strides=strides)) == size


@given(
    st.lists(st.integers(1, 6), min_size=3, max_size=3),
    st.lists(st.sampled_from((1, 3, 16, 40, 600)), min_size=3, max_size=3, unique=True),
)
def test_lines_hold_the_bytes_and_are_not_more_than_those_that_bytes_lie_on(shape, strides):
    found = lines_of(tensor(0, *shape, strides=tuple(strides)))
    starts = {
        sum(i * s for i, s in zip(place, strides, strict=True))
        for place in product(*(range(size) for size in shape))
    }
    lines = {4 * start // LINE for start in starts}
    # A run takes a line more where it does not begin with one; runs may share a line.
    assert found <= LINE * 2 * len(starts)
    assert found + LINE >= LINE * len(lines) / 2


# What moves in one pass, moves as it did


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_other_ops_read_and_write_each_tensor_once(sizes):
    tensors = [tensor(i, size) for i, size in enumerate(sizes)]
    found = op("add", tensors, [tensor(9, max(sizes))], OpKind.ELEMENTWISE)
    assert moved_bytes(found) == found.read_bytes + found.write_bytes
    assert elements_of(found) == max(sizes)


tensors = st.builds(
    lambda storage, dtype, shape: tensor(storage, *shape, dtype=dtype),
    st.integers(0, 4),
    st.sampled_from(("float32", "int64", "bool")),
    st.lists(st.integers(0, 5), max_size=4),
)


@given(
    st.sampled_from(sorted(KERNELS)),
    st.lists(tensors, max_size=5),
    st.lists(tensors, max_size=3),
    st.sampled_from((0, 100, 10**6)),
)
def test_an_op_of_any_tensors_moves_something_or_nothing(name, inputs, outputs, cache):
    found = op(name, inputs, outputs)
    assert elements_of(found) >= 0
    assert sum(memory(found, cache)) <= 8 * (found.read_bytes + found.write_bytes) + 64 * LINE


def test_a_view_moves_nothing():
    found = op("view", [tensor(0, 100)], [tensor(0, 100)], OpKind.VIEW)
    assert loops_of(found) == ()
    assert moved_bytes(found) == 0


@given(st.integers(1, 8), st.integers(1, 64), st.integers(1, 4096), st.integers(0, 22))
def test_a_larger_cache_never_moves_more(images, channels, pixels, power):
    shape = (images, channels, pixels)
    for found in (batch_norm(shape), batch_norm_backward(shape)):
        smaller, larger = (sum(memory(found, 2**size)) for size in (power, power + 1))
        assert larger <= smaller
        assert sum(memory(found, 2**30)) <= moved_bytes(found)


def test_the_first_cache_hides_what_fits_it():
    """Four channels of 4 KiB: input, gradient and result of one have 12 KiB."""
    shape = (1, 4, NEAR // 32)
    size = 4 * 4 * NEAR // 32
    assert memory(batch_norm_backward(shape)) == (2 * size + 5 * 16, size + 2 * 16)


# Ops as they are captured


@pytest.fixture(scope="module")
def captured():
    """Steps of a network with a batch norm, in training, then frozen."""
    torch = pytest.importorskip("torch")
    from workloads.capture import capture

    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(8)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), norm, torch.nn.Flatten())
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    with capture(network, optimizer) as recording:
        for training in (True, True, False, False):
            norm.train(training)
            optimizer.zero_grad()
            network(torch.rand(4, 3, 34, 34)).square().mean().backward()
            optimizer.step()
    return recording.trace


@pytest.mark.torch
def test_a_captured_batch_norm_tells_training_from_evaluation(captured):
    """4 x 8 x 32 x 32 x 4 B = 128 KiB; 8 channels of 16 KiB, of 48 KiB backward."""
    reads = {}
    for step in (captured.steps[0], captured.steps[-1]):
        for found in step.ops:
            if "batch_norm" in found.name:
                read, _ = memory(found)
                reads.setdefault(found.base_name, []).append(read // (128 * KIB))
    assert reads == {"native_batch_norm": [2, 1], "native_batch_norm_backward": [4, 3]}


@pytest.mark.torch
def test_what_capture_keeps_of_a_gather_takes_the_lines_of_its_places():
    """5 tokens of a table of 1000 rows of 4 floats: a line each, where 80 B are read."""
    torch = pytest.importorskip("torch")
    from workloads.capture import capture

    network = torch.nn.Embedding(1000, 4)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    with capture(network, optimizer) as recording:
        network(torch.tensor([3, 1, 4, 1, 5])).sum().backward()
        optimizer.step()
    (found,) = (op for op in recording.trace.steps[0].ops if op.base_name == "embedding")
    assert found.inputs[0].bytes == 80
    assert memory(found)[0] == 5 * LINE + 5 * 8
