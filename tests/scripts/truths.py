"""The right account of every public script, counted by hand.

FLOPs are two per multiplication and addition of matrix products. Where they depend on data the
script prints what it saw (tokens, actions, routed rows, evaluations), which is `seen` here.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

Seen = dict[str, list[int]]
Flops = Callable[[Seen], Counter]


@dataclass(frozen=True)
class Truth:
    """Training and evaluation steps and epochs, as numbers or of what the script saw.

    Evaluation counts as forward. With `partial` there are FLOPs in more phases than `flops` has,
    which nobody counts by hand; `threaded` tells that PyTorch's counter, which belongs to one
    thread, does not see all of them.
    """

    train: int | Callable[[Seen], int]
    evals: int | Callable[[Seen], int]
    epochs: int
    flops: Flops
    partial: bool = False
    threaded: bool = False


# Layers


def chain(rows, *widths, first="wgrad", frozen=False):
    """Return what a chain of linear layers does for `rows` rows that learn.

    The first layer has a gradient of its data only with `first="dgrad"`.
    """
    layers = [2 * rows * a * b for a, b in pairwise(widths)]
    dgrad = sum(layers) if first == "dgrad" else sum(layers[1:])
    wgrad = 0 if frozen else sum(layers)
    return Counter(forward=sum(layers), dgrad=dgrad, wgrad=wgrad)


def inner(rows, *widths, frozen=False):
    """Return what linear layers do whose data have a gradient."""
    return chain(rows, *widths, first="dgrad", frozen=frozen)


def run(rows, *widths):
    """Return what linear layers do without gradients."""
    return Counter(forward=chain(rows, *widths)["forward"])


def convolution(images, places, inputs, outputs, taps, *, first=False, learns=True):
    """Return what a convolution does: `places` results per image, `taps` inputs in each channel."""
    flops = 2 * images * places * inputs * outputs * taps
    backward = {"dgrad": 0 if first else flops, "wgrad": flops} if learns else {}
    return Counter(forward=flops, **backward)


def both(forward, dgrads=2):
    """Return a product of two activations and its gradients, all of data."""
    return Counter(forward=forward, dgrad=dgrads * forward)


def fixed(*parts):
    """Return a count that no data change."""
    return lambda _: sum(parts, Counter())


# Scripts whose work depends on what they saw


def _keyword_trainer(seen):
    total = Counter()
    for t in seen["train_lengths"]:
        products = 2 * (2 * 4 * 2 * t * t * 8)
        total += inner(3 * 4 * t, 16, 16) + both(products) + inner(4, 16, 3)
    for t in seen["eval_lengths"]:
        total += run(3 * 4 * t, 16, 16) + run(4, 16, 3) + Counter(forward=2 * (2 * 8 * t * t * 8))
    return total


def _dqn(seen):
    (learned,), (greedy,) = seen["learned"], seen["greedy"]
    widths = 6, 24, 24, 2
    return chain(16 * learned, *widths) + run(16 * learned, *widths) + run(greedy, *widths)


def _lstm_packed(seen):
    (train,), (test,), batches, rows = seen["train_tokens"], seen["test_tokens"], 20, 8
    gates = inner(train, 8, 64) + inner(train, 16, 64) + inner(batches * rows, 16, 1)
    begin = Counter(dgrad=2 * batches * rows * 16 * 64)  # the state at the start has no gradient
    gates.subtract(begin)
    return gates + run(test, 8, 64) + run(test, 16, 64) + run(2 * 16, 16, 1)


def _lbfgs(seen):
    (evaluations,) = seen["evaluations"]
    return chain(24 * evaluations, 1, 12, 1) + run(24, 1, 12, 1)


def _moe(seen):
    rows, routed = 12 * 16, sum(seen["routed"])
    return chain(rows, 6, 12) + inner(rows, 12, 4) + inner(routed, 12, 24, 12) + inner(rows, 12, 3)


def _stochastic_depth(seen):
    (calls,) = seen["block_calls"]
    learnt = chain(240, 8, 12) + inner(10 * calls, 12, 12, 12) + inner(240, 12, 3)
    return learnt + run(240, 8, 12) + run(4 * 240, 12, 12, 12) + run(240, 12, 3)


def _multitask(seen):
    heads = {"sentiment": 2, "topic": 7, "rating": 5}
    total = chain(24 * 8, 10, 16, 16)
    for task, classes in heads.items():
        total += inner(8 * seen[task][0], 16, classes)
    return total


def _seq2seq(seen):
    (encoded,), (decoded,) = seen["encoded"], seen["decoded"]
    words = encoded + decoded
    total = inner(words, 12, 36) + inner(words, 12, 36) + inner(decoded, 12, 16)
    total.subtract(Counter(dgrad=2 * 15 * 12 * 36))  # nor the first state of a sentence
    return total


# Scripts that always do the same


def _attention(layers, sequences, tokens, width, heads):
    """Return fused causal attention of a decoder: two products, five backward."""
    seen = tokens * (tokens + 1) // 2  # up to the diagonal
    product = 2 * layers * sequences * heads * seen * (width // heads)
    return Counter(forward=2 * product, dgrad=5 * product)


def _gpt(micro_batches, learn):
    rows, layers = micro_batches * 4 * 16, inner if learn else run
    blocks = layers(2 * rows, 16, 48) + layers(2 * rows, 16, 16) + layers(2 * rows, 16, 64, 16)
    fused = _attention(2, micro_batches * 4, 16, 16, 2)
    if not learn:
        del fused["dgrad"]
    return blocks + fused + layers(rows, 16, 40)


def _lora():
    rows = 10 * 12
    up = run(rows, 16, 32) + chain(rows, 16, 2) + inner(rows, 2, 32)
    down = inner(rows, 32, 16, frozen=True) + inner(rows, 32, 2) + inner(rows, 2, 16)
    return up + down + inner(rows, 16, 3, frozen=True)


def _word_language_model():
    train, batches, test = 3 * 27 * 4, 3 * 5, 3 * 12 * 2
    learnt = inner(train, 8, 12) + inner(train, 12, 12) + inner(train, 12, 20)
    learnt.subtract(Counter(dgrad=2 * batches * 4 * 12 * 12))  # the state is detached
    return learnt + run(test, 8, 12) + run(test, 12, 12) + run(test, 12, 20)


def _checkpointing():
    blocks = inner(3 * 8 * 10, 16, 32, 16)
    again = Counter(recompute=blocks["forward"])
    learnt = chain(80, 4, 16) + blocks + again + inner(80, 16, 2)
    return learnt + run(40, 4, 16) + run(3 * 40, 16, 32, 16) + run(40, 16, 2)


def _gcn_sparse(epochs=5, nodes=50):
    entries = 4 * nodes
    sparse = 2 * entries * (16 + 4)
    dense = chain(epochs * nodes, 12, 16, 4) + run(epochs * nodes, 12, 16, 4)
    return dense + Counter(forward=2 * epochs * sparse, dgrad=epochs * sparse)


_AMP_BLOCKS = (24, 24, 24)
_VAE_TESTED = (run(256, 64, 32), run(2 * 256, 32, 6), run(256 + 16, 6, 32, 64))

TRUTHS = {
    "amp": Truth(8, 4, 2, fixed(
        chain(140, 10, 24), inner(140, *_AMP_BLOCKS, 5), run(60, 10, *_AMP_BLOCKS, 5))),
    "checkpointing": Truth(8, 2, 2, fixed(_checkpointing())),
    "cnn_digits": Truth(24, 6, 3, fixed(
        convolution(1500, 64, 1, 8, 9, first=True), convolution(1500, 16, 8, 16, 9),
        inner(1500, 64, 10), convolution(600, 64, 1, 8, 9, learns=False),
        convolution(600, 16, 8, 16, 9, learns=False), run(600, 64, 10))),
    "ddp": Truth(18, 0, 3, fixed(chain(132, 20, 16, 1))),
    "ddpm": Truth(10, 12, 2, fixed(
        chain(320, 8, 16), chain(320, 2, 16, 16, 2), run(192, 8, 16), run(192, 2, 16, 16, 2))),
    "distillation": Truth(20, 0, 5, fixed(
        chain(120, 9, 32, 4), run(180, 9, 32, 4), chain(180, 9, 8, 4))),
    "dpsgd_loop": Truth(10, 0, 2, fixed(chain(54, 8, 12, 2))),
    "dpsgd_vmap": Truth(8, 0, 2, fixed(chain(128, 10, 16, 3))),
    "dqn": Truth(lambda seen: seen["learned"][0], lambda seen: seen["greedy"][0], 1, _dqn),
    "fedavg": Truth(36, 6, 9, fixed(chain(180, 10, 12, 3), run(180, 10, 12, 3))),
    "forward_method": Truth(15, 3, 3, fixed(inner(180, 16, 16, 1), run(36, 16, 16, 1))),
    "from_scratch": Truth(18, 3, 3, fixed(chain(180, 6, 10, 2), run(180, 6, 10, 2))),
    "gcn_index_add": Truth(8, 8, 8, fixed(chain(320, 12, 16, 4), run(320, 12, 16, 4))),
    "gcn_sparse": Truth(5, 5, 5, fixed(_gcn_sparse())),
    "infinite_loader": Truth(20, 4, 3, fixed(
        convolution(100, 16, 1, 4, 9, first=True), inner(100, 64, 3),
        convolution(32, 16, 1, 4, 9, learns=False), run(32, 64, 3))),
    "keyword_trainer": Truth(12, 6, 2, _keyword_trainer),
    "lbfgs": Truth(8, 1, 1, _lbfgs, partial=True),  # the optimizer multiplies vectors
    "lora": Truth(10, 0, 2, fixed(_lora())),
    "lstm_packed": Truth(20, 4, 2, _lstm_packed),
    "maml": Truth(8, 0, 1, fixed(run(2 * 8 * 3 * 5, 1, 16, 16, 1)), partial=True),
    "moco": Truth(16, 0, 2, fixed(
        chain(128, 10, 16, 8), run(128, 10, 16, 8), both(2 * 128 * 8 * (1 + 32), dgrads=1))),
    "moe": Truth(12, 0, 2, _moe),
    "multitask": Truth(24, 0, 1, _multitask),
    "nanogpt": Truth(11, 18, 3, fixed(_gpt(33, learn=True), _gpt(18, learn=False))),
    # The agent is asked at 8 times and once more for a value, then learns 8 times.
    # The value of the last state is part of the first update, which uses it.
    "ppo": Truth(24, 24, 1, fixed(
        chain(192, 3, 16, 2), chain(192, 3, 16, 1),
        run(96, 3, 16, 2), run(96 + 12, 3, 16, 1))),
    "reinforce": Truth(12, 0, 1, lambda seen: chain(seen["actions"][0], 3, 16, 2)),
    "seq2seq": Truth(15, 0, 1, _seq2seq),
    "stochastic_depth": Truth(24, 6, 3, _stochastic_depth),
    "swa": Truth(16, 14, 4, fixed(
        convolution(256, 36, 3, 8, 9, first=True), inner(256, 8, 4),
        convolution(224, 36, 3, 8, 9, learns=False), run(224, 8, 4))),
    "threaded": Truth(15, 1, 3, fixed(chain(150, 6, 20, 1), run(50, 6, 20, 1)), threaded=True),
    # Test batches, and once per epoch the decoder alone.
    "vae": Truth(10, 6, 2, fixed(
        chain(640, 64, 32), inner(2 * 640, 32, 6), inner(640, 6, 32, 64), *_VAE_TESTED)),
    "wgan_gp": Truth(18, 0, 3, fixed(
        run(16 * 24, 4, 16, 2), run(16 * 60, 2, 16, 1)), partial=True),
    "word2vec": Truth(20, 0, 2, fixed(both(2 * 2 * 158 * 5 * 12))),
    "word_language_model": Truth(15, 6, 3, fixed(_word_language_model())),
}  # fmt: skip
"""By name of the script."""

_NANOGPT = 40 * 16 + 16 * 16 + 2 * (16 * (48 + 16 + 64 + 64) + 4 * 16) + 2 * 16  # one table, tied
_MOCO = 10 * 16 + 16 + 16 * 8 + 8
_LORA = 2 * (16 + 32) + 2 * (32 + 16)

MEMORY = {
    # Square averages, accumulated updates and a count of steps for each of six parameters.
    "cnn_digits": (4 * 1898, 4 * 1898, 4 * (2 * 1898 + 6)),
    # Both Adam moments; the frozen network has neither gradients nor state.
    "lora": (4 * (1123 + _LORA), 4 * _LORA, 4 * (2 * _LORA + 4)),
    # Two encoders of which one learns, the queue, and where in the queue the next keys go.
    "moco": (4 * (2 * _MOCO + 8 * 32) + 8, 4 * _MOCO, 4 * _MOCO),
    "nanogpt": (4 * _NANOGPT, 4 * _NANOGPT, 4 * (2 * _NANOGPT + 20)),
}
"""Bytes of parameters with buffers, of gradients and of optimizer state in the typical step."""
