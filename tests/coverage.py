"""A catalogue of small training set-ups that between them use what PyTorch trains with.

`setup(name)` builds one, the same at every call; `setup(name).train(k)` trains k steps and returns
their losses. Whoever wants to look at forward, backward and optimizer apart hands in `part`, which
is called with one of these words and returns the context in which that part then runs.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.networks import (
    Attended,
    Bag,
    InPlace,
    Recomputed,
    SelfAttention,
    Take,
    Torso,
    convolutions,
    encoder,
    normalised,
    perceptron,
    pictures,
)

Part = Callable[[str], AbstractContextManager[object]]
IMAGES, WORDS, TOKENS = 4, 20, 6


def _anything(_: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass
class Setup:
    """A network with what trains it; `options` change the loop of `Setup.step`."""

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    x: torch.Tensor
    y: torch.Tensor
    loop: "Callable[[Setup, int, Part], list[float]] | None" = None
    others: list[nn.Module] = field(default_factory=list)
    autocast: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None
    micro_batches: int = 1
    clip: float = 0.0
    compiled: nn.Module | None = None

    @property
    def models(self):
        """Every network that is trained."""
        return [self.model, *self.others]

    def train(self, steps, part=_anything):
        """Train `steps` steps and return the loss of each."""
        if self.loop is not None:
            return self.loop(self, steps, part)
        return [self.step(self.x, self.y, part) for _ in range(steps)]

    def step(self, x, y, part=_anything):
        """Train one step on x and y, in `micro_batches` parts, and return the loss."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        total = 0.0
        rows = zip(x.chunk(self.micro_batches), y.chunk(self.micro_batches), strict=True)
        for inputs, labels in rows:
            with part("forward"):
                loss = self.loss(inputs, labels) / self.micro_batches
            with part("backward"):
                (self.scaler.scale(loss) if self.scaler else loss).backward()
            total += loss.item()
        with part("optimizer"):
            self.update()
        return total

    def loss(self, x, y):
        """Return the cross entropy of the network's scores for x against the labels y."""
        network = self.compiled or self.model
        with torch.autocast("cpu", self.autocast, enabled=self.autocast is not None):
            return functional.cross_entropy(network(x), y)

    def update(self):
        """Let every optimizer step, after unscaling and clipping where that is asked for."""
        for optimizer in self.optimizers:
            if self.scaler:
                self.scaler.unscale_(optimizer)
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer) if self.scaler else optimizer.step()
        if self.scaler:
            self.scaler.update()


# Loops other than one step after the other


def _closure(run, steps, part):
    def closure():
        run.optimizers[0].zero_grad()
        with part("forward"):
            loss = run.loss(run.x, run.y)
        with part("backward"):
            loss.backward()
        return loss

    losses = []
    for _ in range(steps):
        with part("optimizer"):
            losses.append(run.optimizers[0].step(closure).item())
    return losses


def _epochs(run, steps, part, workers=0):
    # Rows enough for two steps; a random order is drawn from the global generator.
    data = TensorDataset(
        run.x.repeat(2, *[1] * (run.x.dim() - 1)), run.y.repeat(2).view(2 * len(run.x), -1)
    )
    batches = DataLoader(data, batch_size=len(run.x), shuffle=True, num_workers=workers)
    losses = []
    while len(losses) < steps:
        for x, y in batches:
            losses.append(run.step(x, y.flatten(), part))
        run.model.eval()
        with torch.no_grad(), part("eval"):
            losses.append(run.loss(run.x, run.y).item())
        run.model.train()
    return losses


def _adversaries(run, steps, part):
    maker, judge, (make, judging) = run.model, run.others[0], run.optimizers
    losses = []
    for _ in range(steps):
        judging.zero_grad()
        with part("forward"):
            fake = maker(torch.randn(IMAGES, 8))
            verdicts = judge(torch.cat([run.x, fake.detach()]))
            loss = functional.binary_cross_entropy_with_logits(verdicts, run.y)
        with part("backward"):
            loss.backward()
        with part("optimizer"):
            judging.step()
        make.zero_grad()
        with part("forward"):
            loss = -judge(fake).mean()
        with part("backward"):
            loss.backward()
        with part("optimizer"):
            make.step()
        losses.append(loss.item())
    return losses


def _in_a_thread(run, steps, part):
    losses = []

    def work():
        losses.extend(run.step(run.x, run.y, part) for _ in range(steps))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return losses


# Networks with data and an optimizer


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


def _words(body, tied=False, **options):
    model = Torso(body, WORDS, tied=tied)
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
    return Setup(maker, optimizers, real, truth, loop=_adversaries, others=[judge])


def _evaluating(body):
    run = _words(body)
    run.loop = _epochs
    return run


CATALOGUE: dict[str, Callable[[], Setup]] = {
    "sgd": _dense,
    "adam": lambda: _dense(torch.optim.Adam),
    "adamw": lambda: _dense(torch.optim.AdamW),
    "foreach": lambda: _dense(partial(torch.optim.AdamW, foreach=True)),
    "fused": lambda: _dense(partial(torch.optim.AdamW, fused=True)),
    "lbfgs": lambda: _dense(partial(torch.optim.LBFGS, lr=0.1, max_iter=3), loop=_closure),
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
    "in place": _in_place,
    "workers": lambda: _dense(loop=partial(_epochs, workers=1)),
    "evaluation": lambda: _dense(loop=_epochs),
    "gan": _gan,
    "thread": lambda: _dense(loop=_in_a_thread),
}


def setup(name: str) -> Setup:
    """Build an entry of the catalogue; weights, data and the generator are always the same."""
    torch.manual_seed(0)
    return CATALOGUE[name]()
