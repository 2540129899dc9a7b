"""Small training set-ups of every kind, to compare two ways of capturing them."""

import copy
from functools import partial
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset


def training(model, x, y, make=None, *, after_backward=None, **how):
    """Return a set-up: `model`, `optimizer`, and `run`, which trains for three steps."""
    make = make or partial(torch.optim.SGD, lr=0.05, momentum=0.9)
    optimizer = make([p for p in model.parameters() if p.requires_grad])
    loss_of = how.get("loss", functional.cross_entropy)
    every = how.get("every", 1)

    def step():
        optimizer.zero_grad()
        for _ in range(every):
            loss = loss_of(model(x), y) / every
            loss.backward()
        if after_backward:
            after_backward(model)
        optimizer.step()
        return loss.item()

    def run():
        return [step() for _ in range(3)]

    return SimpleNamespace(model=model, optimizer=optimizer, run=run)


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 5))


def digits(model=None, make=None, **how):
    return training(
        model or perceptron(), torch.randn(4, 3, 2, 2), torch.randint(5, (4,)), make, **how
    )


class Lenet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        return self.fc(functional.avg_pool2d(functional.relu(self.conv2(x)), 2).flatten(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.act, self.fc = nn.ReLU(inplace=True), nn.Linear(8, 5)

    def forward(self, x):
        x = self.act(self.norm(self.stem(x)))
        y = self.norm2(self.conv(x))
        y += x
        return self.fc(functional.adaptive_avg_pool2d(self.act(y), 1).flatten(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))


class Gpt(nn.Module):
    """Tied embedding, fused causal attention; recomputed if asked for."""

    def __init__(self, recompute=False):
        super().__init__()
        self.recompute = recompute
        self.embed, self.place = nn.Embedding(40, 16), nn.Embedding(8, 16)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.head = nn.Linear(16, 40, bias=False)
        self.head.weight = self.embed.weight

    def block(self, x):
        q, k, v = (
            p.unflatten(-1, (2, 8)).transpose(1, 2) for p in self.qkv(self.norm(x)).chunk(3, -1)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.out(y.transpose(1, 2).flatten(2))

    def forward(self, tokens):
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))
        x = checkpoint(self.block, x, use_reentrant=False) if self.recompute else self.block(x)
        return self.head(x).flatten(0, 1)


def gpt(make=torch.optim.AdamW, **how):
    tokens = torch.randint(40, (2, 8))
    return training(Gpt(**how), tokens, torch.randint(40, (16,)), make)


def images(model, shape=(2, 3, 8, 8), make=None):
    return training(model, torch.randn(shape), torch.randint(5, shape[:1]), make)


def convolution(dims, **options):
    transposed = options.pop("transposed", False)
    kind = getattr(nn, f"Conv{'Transpose' * transposed}{dims}d")
    model = nn.Sequential(kind(4, 8, 3, **options), nn.Flatten(2))
    return training(
        model, torch.randn(2, 4, *(6,) * dims), None, loss=lambda out, _: out.square().mean()
    )


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embed, self.rnn, self.fc = nn.Embedding(20, 8), kind(8, 6), nn.Linear(6, 5)

    def forward(self, tokens):
        return self.fc(self.rnn(self.embed(tokens))[0][-1])


def recurrent(kind):
    return training(Recurrent(kind), torch.randint(20, (7, 3)), torch.randint(5, (3,)))


def frozen():
    model = perceptron()
    model[1].requires_grad_(False)
    return digits(model)


def autocast():
    class Mixed(nn.Sequential):
        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(x)

    return digits(Mixed(*perceptron()))


def hooked():
    """Gradients are doubled on their way, and each parameter is updated as soon as it has one."""
    setup = digits()
    single = {p: torch.optim.SGD([p], lr=0.1) for p in setup.model.parameters()}

    def update(parameter):
        single[parameter].step()
        single[parameter].zero_grad()

    for parameter in setup.model.parameters():
        parameter.register_hook(lambda gradient: 2 * gradient)
        parameter.register_post_accumulate_grad_hook(update)
    x, y = torch.randn(4, 3, 2, 2), torch.randint(5, (4,))

    def run():
        for _ in range(2):
            functional.cross_entropy(setup.model(x), y).backward()

    setup.run, setup.others = run, list(single.values())
    return setup


def flat():
    """All parameters are views of one storage."""
    model = perceptron()
    whole, at = torch.cat([p.detach().flatten() for p in model.parameters()]), 0
    for parameter in model.parameters():
        parameter.data = whole[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    return digits(model)


def penalised():
    """The gradient of the input is differentiated again."""
    setup = digits()
    x = torch.randn(4, 3, 2, 2)

    def run():
        for _ in range(2):
            inputs = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(setup.model(inputs).sum(), inputs, create_graph=True)
            setup.optimizer.zero_grad()
            (slope.flatten(1).norm(2, 1) - 1).square().mean().backward()
            setup.optimizer.step()

    setup.run = run
    return setup


def scaled():
    setup = digits()
    scaler = torch.amp.GradScaler("cpu")
    x, y = torch.randn(4, 3, 2, 2), torch.randint(5, (4,))

    def run():
        for _ in range(3):
            setup.optimizer.zero_grad()
            scaler.scale(functional.cross_entropy(setup.model(x), y)).backward()
            scaler.step(setup.optimizer)
            scaler.update()

    setup.run = run
    return setup


def clipped():
    def clip(model):
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)

    return digits(after_backward=clip)


def epochs():
    """A loader with a rest, evaluation, a schedule, accumulated metrics, a checked loss."""
    setup = digits(nn.Sequential(perceptron(), nn.BatchNorm1d(5), nn.Dropout(0.1)))
    data = TensorDataset(torch.randn(10, 3, 2, 2), torch.randint(5, (10,)))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(setup.optimizer, 5)

    def run():
        for _ in range(2):
            total = torch.zeros(1)
            setup.model.train()
            for x, y in DataLoader(data, batch_size=4, shuffle=True):
                setup.optimizer.zero_grad()
                loss = functional.cross_entropy(setup.model(x), y)
                assert torch.isfinite(loss)
                if torch.isnan(loss).any():
                    break
                loss.backward()
                setup.optimizer.step()
                total += loss.detach()
            schedule.step()
            setup.model.eval()
            with torch.no_grad():
                hits = sum(
                    (setup.model(x).argmax(1) == y).sum().item() for x, y in DataLoader(data, 5)
                )
            print(f"{total.item():.3f} {loss:.3f} {hits}")
        setup.model.train()

    setup.run = run
    return setup


def adversarial():
    generator, critic = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    both = nn.ModuleDict({"generator": generator, "critic": critic})
    first = torch.optim.Adam(generator.parameters(), lr=1e-3)
    second = torch.optim.Adam(critic.parameters(), lr=1e-3)
    loss_of = nn.BCEWithLogitsLoss()

    def run():
        for _ in range(3):
            made = generator(torch.randn(5, 4))
            second.zero_grad()
            loss_of(critic(torch.randn(5, 6)), torch.ones(5, 1)).backward()
            loss_of(critic(made.detach()), torch.zeros(5, 1)).backward()
            second.step()
            first.zero_grad()
            loss_of(critic(made), torch.ones(5, 1)).backward()
            first.step()

    return SimpleNamespace(model=both, optimizer=first, run=run, others=[second])


def averaged():
    """A second set of weights follows the first; both were made before the capture."""
    setup = digits()
    average = copy.deepcopy(setup.model)
    train = setup.run

    def run():
        train()
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), setup.model.parameters(), strict=True):
                slow.mul_(0.9).add_(fast, alpha=0.1)

    setup.run, setup.others = run, [average]
    return setup


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
SETUPS = {
    "perceptron": digits,
    "lenet": lambda: images(Lenet(), (2, 1, 8, 8)),
    "residual": lambda: images(Residual()),
    "encoder": lambda: training(Encoder(), torch.randn(2, 6, 16), torch.randint(5, (2,))),
    "gpt": gpt,
    "checkpointed": lambda: gpt(recompute=True),
    "gru": lambda: recurrent(nn.GRU),
    "rnn": lambda: recurrent(nn.RNN),
    "frozen": frozen,
    "autocast": autocast,
    "grad_scaler": scaled,
    "accumulated": lambda: digits(every=3),
    "clipped": clipped,
    "epochs": epochs,
    "adversarial": adversarial,
    "averaged": averaged,
    "hooked": hooked,
    "flat": flat,
    "penalised": penalised,
    "bfloat16": lambda: training(
        perceptron().to(torch.bfloat16),
        torch.randn(4, 3, 2, 2, dtype=torch.bfloat16),
        torch.randint(5, (4,)),
    ),
    "instance_norm": lambda: images(nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.InstanceNorm2d(5, affine=True), nn.GroupNorm(5, 5), nn.GELU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )),
    "weight_norm": lambda: digits(nn.Sequential(
        nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(12, 5))
    )),
    "plain": lambda: convolution(2),
    "grouped": lambda: convolution(2, groups=2),
    "depthwise": lambda: convolution(2, groups=4),
    "dilated": lambda: convolution(2, dilation=2),
    "strided_1d": lambda: convolution(1, stride=2, padding=1),
    "volume": lambda: convolution(3, stride=2),
    **{f"transposed_{d}d": partial(convolution, d, transposed=True, stride=2) for d in (1, 2, 3)},
    "transposed_grouped": lambda: convolution(2, transposed=True, groups=2),
    "sgd_foreach": lambda: digits(make=partial(SGD, lr=0.1, momentum=0.9, foreach=True)),
    "sgd_fused": lambda: digits(make=partial(SGD, lr=0.1, momentum=0.9, fused=True)),
    "adam": lambda: digits(make=ADAM),
    "adamw": lambda: digits(make=ADAMW),
    "adamw_foreach": lambda: digits(make=partial(ADAMW, foreach=True)),
    "adamw_fused": lambda: digits(make=partial(ADAMW, fused=True)),
    "adafactor": lambda: digits(make=torch.optim.Adafactor),
    "rmsprop": lambda: digits(make=torch.optim.RMSprop),
    "nadam": lambda: digits(make=torch.optim.NAdam),
    "adagrad": lambda: digits(make=torch.optim.Adagrad),
    "muon": lambda: digits(
        nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False)), torch.optim.Muon
    ),
}  # fmt: skip
