"""Ways to train that are not one step after the other: `loop(run, steps, part)` gives losses."""

import threading

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


def closure(run, steps, part):
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


def epochs(run, steps, part, workers=0):
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


def adversaries(run, steps, part):
    maker, judge, (make, judging) = run.model, run.others[0], run.optimizers
    losses = []
    for _ in range(steps):
        judging.zero_grad()
        with part("forward"):
            fake = maker(torch.randn(len(run.x), 8))
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


def in_a_thread(run, steps, part):
    losses = []

    def work():
        losses.extend(run.step(run.x, run.y, part) for _ in range(steps))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return losses


def scheduled(run, steps, part):
    """Epochs with a smaller last batch, a learning rate that falls, and sums kept of losses."""
    data = TensorDataset(run.x.repeat(2, 1)[:-6], run.y.repeat(2)[:-6])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizers[0], 5)
    losses = []
    while len(losses) < steps:
        run.model.train()
        total, before = torch.zeros(1), len(losses)
        for x, y in DataLoader(data, batch_size=4, shuffle=True):
            run.optimizers[0].zero_grad()
            with part("forward"):
                loss = run.loss(x, y)
            assert torch.isfinite(loss)
            with part("backward"):
                loss.backward()
            with part("optimizer"):
                run.update()
            total += loss.detach()
            losses.append(loss.item())
            if len(losses) == steps:
                break
        schedule.step()
        run.model.eval()
        with torch.no_grad(), part("eval"):
            hits = sum((run.model(x).argmax(1) == y).sum().item() for x, y in DataLoader(data, 5))
        print(f"{total.item() / (len(losses) - before):.3f} {loss:.3f} {hits}")
    return losses


def penalised(run, steps, part):
    """The slope of the network at its inputs is pulled towards 1: backward of a backward."""
    losses = []
    for _ in range(steps):
        inputs = run.x.clone().requires_grad_()
        with part("forward"):
            scores = run.model(inputs).sum()
        with part("backward"):
            (slope,) = torch.autograd.grad(scores, inputs, create_graph=True)
        run.optimizers[0].zero_grad()
        loss = (slope.norm(2, 1) - 1).square().mean()
        with part("backward"):
            loss.backward()
        with part("optimizer"):
            run.update()
        losses.append(loss.item())
    return losses


def averaged(run, steps, part):
    """A second set of weights follows the first."""
    losses = []
    for _ in range(steps):
        losses.append(run.step(run.x, run.y, part))
        with torch.no_grad():
            pairs = zip(run.others[0].parameters(), run.model.parameters(), strict=True)
            for slow, fast in pairs:
                slow.mul_(0.9).add_(fast, alpha=0.1)
    return losses


def only_backward(run, steps, part):
    """Hooks on the parameters do the rest."""
    losses = []
    for _ in range(steps):
        with part("forward"):
            loss = run.loss(run.x, run.y)
        with part("backward"):
            loss.backward()
        losses.append(loss.item())
    return losses
