"""Captures a language model that generates, from shapes alone: a prefill, then token by token."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import nn

from simulator.errors import InputError
from simulator.trace.inference import between
from simulator.trace.trace import Segment, Step, Trace
from workloads.capture import capture
from workloads.models.attention_cache import begin, go_on

_RECORDED = (1, 2)  # decodes, beside the last one, from which the others follow


@dataclass(frozen=True)
class LanguageModel:
    """A model that generates; the docstring of `build` has the source.

    The network makes scores [batch, vocabulary] of tokens [batch, new ones] and of what it keeps of
    those before. `context` is the most tokens of a sequence, `dtype` that of the published weights.
    """

    name: str
    about: str
    build: Callable[[], nn.Module]
    vocabulary: int
    context: int
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Generation:
    """What is generated: `decode` tokens, each by a step, after a `prompt` of so many, in `batch`
    sequences.
    """

    decode: int
    prompt: int = 32
    batch: int = 1


def capture_generation(model: LanguageModel, request: Generation) -> Trace:
    """Return the trace of a generation: a prefill of the prompt, then a decode for each token.

    Each decode attends to one token more and is a step of its own; each step ends with the choice
    of the most likely token. On a CPU, from shapes, so that a network of any size needs no memory.
    Of many decodes the first two and the last are recorded; the sizes of the others lie between
    them. Raises InputError if the context is too short.
    """
    most = model.context - request.prompt
    if request.decode > most:
        raise InputError(
            f"{model.name} has a context of {model.context} tokens: decode at most {max(0, most)} "
            f"after a prompt of {request.prompt}, not {request.decode}"
        )
    every = range(1, request.decode + 1)
    if request.decode > len(_RECORDED):
        trace = _recorded(model, request, [*_RECORDED, request.decode])
        with suppress(ValueError):  # sizes that do not grow evenly
            return _completed(trace, request)
    return _recorded(model, request, every)


def _recorded(model: LanguageModel, request: Generation, decodes: Iterable[int]) -> Trace:
    """Return the trace of the prefill and of these decodes, by number from 1."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(model.dtype)
    try:
        with torch.device("meta"):
            network = model.build().eval()
            begin(network, request.batch, request.prompt + request.decode + 1)
            tokens = torch.randint(model.vocabulary, (request.batch, request.prompt))
        with capture(network, name=model.name, fake=True) as recording, torch.no_grad():
            tokens = network(tokens).argmax(dim=1, keepdim=True)
            for number in decodes:
                go_on(network, request.prompt + number - 1)
                tokens = network(tokens).argmax(dim=1, keepdim=True)
    finally:
        torch.set_default_dtype(before)
    return recording.trace


def _completed(trace: Trace, request: Generation) -> Trace:
    """Return the trace with all decodes, of one that has some of them.

    Raises ValueError if the second one does not lie between the first and the last.
    """
    prefill, first, second, last = trace.steps
    count = request.decode - 1
    decodes = [between(first, last, number, count) for number in range(request.decode)]
    if decodes[1] != second:
        raise ValueError("the sizes of decodes do not grow evenly")
    return _run_once(trace, [prefill, *decodes])


def _run_once(trace: Trace, steps: list[Step]) -> Trace:
    """Return the trace of these steps, each once, in this order."""
    segments = tuple(Segment(0, number, 1) for number in range(len(steps)))
    return replace(trace, steps=tuple(steps), segments=segments)
