"""What is in the catalogue: small networks with data, an optimizer and a loop."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.utils import parametrizations

from tests.catalogue import loops
from tests.catalogue.networks import (
    Attended,
    Bag,
    InPlace,
    Recomputed,
    Residual,
    SelfAttention,
    Take,
    Torso,
    convolutions,
    encoder,
    normalised,
    perceptron,
    pictures,
)
from tests.catalogue.training import Setup

IMAGES, WORDS, TOKENS = 4, 20, 6


def _sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-4)


def _dense(optimizer=_sgd, **options):
    model = perceptron(12, 16, 16, 5, dropout=0.2)
    optimizers = [optimizer(model.parameters())]
    return Setup(model, optimizers, torch.randn(8, 12), torch.randint(5, (8,)), **options)


def _matrices():
    run = _dense()
    groups = {d: [p for p in run.model.parameters() if p.dim() == d] for d in (1, 2)}
    run.optimizers = [torch.optim.Muon(groups[2], lr=0.01), torch.optim.Adam(groups[1])]
    return run


def _images(*layers, size=(6, 6)):
    model, x = pictures(*layers), torch.randn(IMAGES, 4, *size)
    model(x)  # lazy layers take their size from the first batch
    return Setup(model, [_sgd(model.parameters())], x, torch.randint(5, (IMAGES,)))


def _words(body, tied=False, places=0, **options):
    model = Torso(body, WORDS, tied=tied, places=places)
    tokens = torch.randint(WORDS, (IMAGES, TOKENS))
    return Setup(
        model, [torch.optim.AdamW(model.parameters())], tokens, tokens.flatten(), **options
    )


def _bag():
    model, tokens = Bag(), torch.randint(WORDS, (IMAGES, TOKENS))
    return Setup(model, [_sgd(model.parameters())], tokens, tokens[:, 0])


def _in_place():
    model = InPlace()
    return Setup(model, [_sgd(model.parameters())], torch.randn(8, 12), torch.randint(5, (8,)))


def _frozen():
    run = _dense()
    run.model[3].requires_grad_(False)
    return run


def _compiled():
    run = _dense()
    run.compiled = torch.compile(run.model, backend="eager")
    return run


def _gan():
    maker, judge = perceptron(8, 16, 12), perceptron(12, 16, 1)
    optimizers = [torch.optim.Adam(m.parameters()) for m in (maker, judge)]
    truth = torch.cat([torch.ones(IMAGES, 1), torch.zeros(IMAGES, 1)])
    real = torch.randn(IMAGES, 12)
    return Setup(maker, optimizers, real, truth, loop=loops.adversaries, others=[judge])


def _evaluating(body):
    run = _words(body)
    run.loop = loops.epochs
    return run


def _penalised():
    run = _dense(loop=loops.penalised)
    run.model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 5))
    run.optimizers = [_sgd(run.model.parameters())]
    return run


def _averaged():
    run = _dense(loop=loops.averaged)
    run.others = [copy.deepcopy(run.model).requires_grad_(False)]
    return run


def _hooked():
    run = _dense(loop=loops.only_backward)
    single = {p: torch.optim.SGD([p], lr=0.1) for p in run.model.parameters()}

    def update(parameter):
        single[parameter].step()
        single[parameter].zero_grad()

    for parameter in single:
        parameter.register_hook(lambda gradient: 2 * gradient)
        parameter.register_post_accumulate_grad_hook(update)
    run.optimizers = list(single.values())
    return run


def _flat():
    """All parameters are views of one storage."""
    run = _dense()
    whole, at = torch.cat([p.detach().flatten() for p in run.model.parameters()]), 0
    for parameter in run.model.parameters():
        parameter.data = whole[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    return run


def _weight_norm():
    run = _dense()
    run.model[0] = parametrizations.weight_norm(run.model[0])
    run.optimizers = [_sgd(run.model.parameters())]
    return run


def _bfloat16():
    run = _dense()
    run.model.to(torch.bfloat16)
    run.x = run.x.to(torch.bfloat16)
    return run


CATALOGUE: dict[str, Callable[[], Setup]] = {
    "sgd": _dense,
    "adam": lambda: _dense(torch.optim.Adam),
    "adamw": lambda: _dense(torch.optim.AdamW),
    "foreach": lambda: _dense(partial(torch.optim.AdamW, foreach=True)),
    "fused": lambda: _dense(partial(torch.optim.AdamW, fused=True)),
    "lbfgs": lambda: _dense(partial(torch.optim.LBFGS, lr=0.1, max_iter=3), loop=loops.closure),
    "sgd foreach": lambda: _dense(partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=True)),
    "sgd fused": lambda: _dense(partial(torch.optim.SGD, lr=0.1, momentum=0.9, fused=True)),
    "rmsprop": lambda: _dense(torch.optim.RMSprop),
    "nadam": lambda: _dense(torch.optim.NAdam),
    "adagrad": lambda: _dense(torch.optim.Adagrad),
    "adafactor": lambda: _dense(torch.optim.Adafactor),
    "muon": _matrices,
    "autocast": lambda: _dense(autocast=torch.bfloat16),
    "autocast with scaler": lambda: _dense(
        autocast=torch.float16, scaler=torch.amp.GradScaler("cpu", init_scale=16.0)
    ),
    "checkpoint": lambda: _words(Recomputed(SelfAttention(attn_mask=None))),
    "accumulation": lambda: _dense(micro_batches=2),
    "clipping": lambda: _dense(clip=0.1),
    "compiled": _compiled,
    "attention": lambda: _words(SelfAttention()),
    "causal attention": lambda: _words(SelfAttention(is_causal=True)),
    "masked attention": lambda: _words(
        SelfAttention(attn_mask=torch.randn(TOKENS, TOKENS).gt(-1) | torch.eye(TOKENS).bool())
    ),
    "grouped-query attention": lambda: _words(SelfAttention(key_heads=2, enable_gqa=True)),
    "attention with dropout": lambda: _words(SelfAttention(dropout_p=0.1)),
    "multihead attention": lambda: _words(Attended(weights=False)),
    "multihead attention with weights": lambda: _words(Attended(weights=True)),
    "encoder": lambda: _words(encoder()),
    "encoder with evaluation": lambda: _evaluating(encoder()),
    "lstm": lambda: _words(Take(nn.LSTM(16, 16, num_layers=2, batch_first=True))),
    "rnn": lambda: _words(Take(nn.RNN(16, 16, batch_first=True))),
    "gru": lambda: _words(Take(nn.GRU(16, 16, batch_first=True))),
    "embedding bag": _bag,
    "batch norm": lambda: _images(
        *normalised(nn.BatchNorm2d(8)), nn.Flatten(), nn.BatchNorm1d(288)
    ),
    "layer norm": lambda: _images(*normalised(nn.LayerNorm((8, 6, 6)))),
    "group norm": lambda: _images(*normalised(nn.GroupNorm(4, 8))),
    "instance norm": lambda: _images(*normalised(nn.InstanceNorm2d(8, affine=True))),
    "rms norm": lambda: _images(*normalised(nn.RMSNorm((8, 6, 6)))),
    "local response norm": lambda: _images(*normalised(nn.LocalResponseNorm(3))),
    "convolutions 1d": lambda: _images(*convolutions(1), size=(12,)),
    "convolutions 2d": lambda: _images(*convolutions(2)),
    "convolutions 3d": lambda: _images(*convolutions(3), size=(6, 6, 6)),
    "transposed 1d": lambda: _images(*convolutions(1, transposed=True), size=(6,)),
    "transposed 2d": lambda: _images(*convolutions(2, transposed=True)),
    "transposed 3d": lambda: _images(*convolutions(3, transposed=True), size=(3, 3, 3)),
    "tied": lambda: _words(nn.Sequential(nn.Linear(16, 16), nn.GELU()), tied=True),
    "frozen": _frozen,
    "gpt": lambda: _words(SelfAttention(is_causal=True), tied=True, places=TOKENS),
    "residual": lambda: _images(Residual()),
    "pools": lambda: _images(
        nn.Conv2d(4, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1),
        nn.AvgPool2d(2), nn.GELU(), nn.AdaptiveAvgPool2d(1),
    ),
    "weight norm": _weight_norm,
    "flat storage": _flat,
    "bfloat16": _bfloat16,
    "in place": _in_place,
    "workers": lambda: _dense(loop=partial(loops.epochs, workers=1)),
    "evaluation": lambda: _dense(loop=loops.epochs),
    "schedule": lambda: _dense(loop=loops.scheduled),
    "double backward": _penalised,
    "averaged weights": _averaged,
    "gradient hooks": _hooked,
    "gan": _gan,
    "thread": lambda: _dense(loop=loops.in_a_thread),
}  # fmt: skip


def setup(name: str) -> Setup:
    """Build an entry of the catalogue; weights, data and the generator are always the same."""
    torch.manual_seed(0)
    return CATALOGUE[name]()
