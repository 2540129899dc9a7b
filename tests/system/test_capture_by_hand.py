# ruff: noqa: E402 - without torch nothing here can be imported
"""Updates written out count like an optimizer's; other writes to parameters are no updates."""

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tests.scripts.truths import chain, run
from tests.training_accounts import check, learn, sgd

pytestmark = pytest.mark.torch
ROWS, WIDTHS, STEPS, LR = 4, (5, 6, 3), 6, 0.1


def network():
    return nn.Sequential(nn.Linear(*WIDTHS[:2]), nn.Tanh(), nn.Linear(*WIDTHS[1:]))


def batch():
    return torch.randn(ROWS, WIDTHS[0])


# Updates: `update(parameters)` uses the gradients of all of them


@torch.no_grad()
def subtracted(parameters):
    for parameter in parameters:
        parameter -= LR * parameter.grad  # noqa: PLW2901 - in place, as most write it


def added_to_data(parameters):
    for parameter in parameters:
        parameter.data.add_(parameter.grad, alpha=-LR)


def new_data(parameters):
    for parameter in parameters:
        parameter.data = parameter.data - LR * parameter.grad


@torch.no_grad()
def copied(parameters):
    for parameter in parameters:
        parameter.copy_(parameter - LR * parameter.grad)


@torch.no_grad()
def all_at_once(parameters):
    torch._foreach_add_(parameters, [parameter.grad for parameter in parameters], alpha=-LR)


def as_a_vector(parameters):
    gradient = parameters_to_vector([parameter.grad for parameter in parameters])
    vector_to_parameters(parameters_to_vector(parameters).detach() - LR * gradient, parameters)


@torch.no_grad()
def with_momentum(parameters):
    for parameter in parameters:
        if not hasattr(parameter, "velocity"):
            parameter.velocity = torch.zeros_like(parameter)
        parameter.velocity.mul_(0.9).add_(parameter.grad)
        parameter.sub_(LR * parameter.velocity)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize(
    "update",
    [subtracted, added_to_data, new_data, copied, all_at_once, as_a_vector, with_momentum],
)
def test_an_update_written_out_is_a_step(update, passes):
    """With two backward passes for one update, too."""

    def train():
        model = network()
        for _ in range(STEPS):
            for parameter in model.parameters():
                parameter.grad = None
            for _ in range(passes):
                loss = model(batch()).square().mean()
                loss.backward()
            update(list(model.parameters()))
            yield loss.item()
        return chain(STEPS * passes * ROWS, *WIDTHS)

    check(train)


def test_gradients_that_are_asked_for():
    """`torch.autograd.grad` leaves no gradient at the parameters."""

    def train():
        model = network()
        for _ in range(STEPS):
            loss = model(batch()).square().mean()
            parameters = list(model.parameters())
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(LR * gradient)
            yield loss.item()
        return chain(STEPS * ROWS, *WIDTHS)

    check(train)


def test_evaluation_between_updates_written_out():
    def train():
        model = network()
        for _ in range(3):
            for _ in range(2):
                loss = model(batch()).square().mean()
                model.zero_grad()
                loss.backward()
                subtracted(model.parameters())
                yield loss.item()
            with torch.no_grad():
                model(batch())
        return chain(6 * ROWS, *WIDTHS) + run(3 * ROWS, *WIDTHS)

    check(train, evals=3, epochs=3)


# Other writes, before or after an optimizer's step


@torch.no_grad()
def clipped_weights(model, _):
    for parameter in model.parameters():
        parameter.clamp_(-0.5, 0.5)


@torch.no_grad()
def averaged_weights(model, other):
    for slow, fast in zip(other.parameters(), model.parameters(), strict=True):
        slow.mul_(0.9).add_(fast, alpha=0.1)


def copied_weights(model, other):
    other.load_state_dict(model.state_dict())


@torch.no_grad()
def initialised_anew(model, _):
    model[2].reset_parameters()


@torch.no_grad()
def pruned(model, _):
    model[0].weight[model[0].weight.abs() < 0.1] = 0


@torch.no_grad()
def noisy_gradients(model, _):
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.add_(0.01 * torch.randn_like(parameter))


@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
@pytest.mark.parametrize(
    "write",
    [clipped_weights, averaged_weights, copied_weights, initialised_anew, pruned, noisy_gradients],
)
def test_other_writes_are_no_steps(write, before):
    def train():
        model = network()
        other = copy.deepcopy(model)
        optimizer = sgd(model)
        for _ in range(STEPS):
            loss = model(batch()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if before:
                write(model, other)
            optimizer.step()
            if not before:
                write(model, other)
            yield loss.item()
        return chain(STEPS * ROWS, *WIDTHS)

    check(train)


def test_an_optimizer_and_an_update_written_out_in_turn():
    """Two networks, of which each has a way of its own to learn."""

    def train():
        first, second = network(), network()
        optimizer = sgd(first)
        for i in range(STEPS):
            if i % 2:
                yield learn(optimizer, first(batch()).square().mean())
                continue
            second.zero_grad()
            loss = second(batch()).square().mean()
            loss.backward()
            subtracted(second.parameters())
            yield loss.item()
        return chain(STEPS * ROWS, *WIDTHS)

    check(train)
