"""Networks for capture by shapes alone: no data and no training script."""

from simulator.errors import InputError
from simulator.trace.trace import Trace
from workloads.models.alexnet import ALEXNETS
from workloads.models.cnn1x import CNN1X
from workloads.models.cnn_digits import CNN_DIGITS
from workloads.models.family import Family, parameters_of
from workloads.models.generate import Generation, LanguageModel, capture_generation
from workloads.models.gpt2 import GPT2, GPT2S
from workloads.models.llama import LLAMA
from workloads.models.mobilenet import MOBILENETS
from workloads.models.model import Model
from workloads.models.resnet import RESNETS
from workloads.models.step import capture_step
from workloads.models.vgg import VGGS
from workloads.models.vit import VITS

__all__ = [
    "FAMILIES",
    "LANGUAGE_MODELS",
    "MODELS",
    "Family",
    "Generation",
    "LanguageModel",
    "Model",
    "capture_generation",
    "capture_language_model",
    "capture_model",
    "capture_step",
    "model_of",
]

_ALL = (*ALEXNETS, *CNN1X, *GPT2S, *MOBILENETS, *RESNETS, *VGGS, *VITS)
MODELS = {model.name: model for model in _ALL}
"""The models that train, by name."""
LANGUAGE_MODELS = {model.name: model for model in (GPT2, LLAMA)}
"""The models that generate, by name."""


FAMILIES = {CNN_DIGITS.name: CNN_DIGITS}
"""The models with parameters by name."""


def model_of(name: str) -> Model:
    """Return a model by name, of a family with its parameters: cnn_digits:depth=4,width=24.

    Raises InputError if there is none of that name, or none with these parameters.
    """
    family, parameters = parameters_of(name)
    if family in FAMILIES:
        return FAMILIES[family].member(parameters)
    if name not in MODELS:
        choices = ", ".join((*MODELS, *FAMILIES))
        if family in MODELS:
            raise InputError(f"model {name}: {family} has no parameters: {', '.join(FAMILIES)} has")
        raise InputError(f"no model {name!r}: choose one of {choices}")
    return MODELS[name]


def capture_language_model(name: str, request: Generation) -> Trace:
    """Return the trace of a generation by a language model; see `capture_generation`.

    Raises InputError if there is no language model of that name or if its context is too short.
    """
    if name not in LANGUAGE_MODELS:
        raise InputError(f"{name} does not generate: decode with {', '.join(LANGUAGE_MODELS)}")
    return capture_generation(LANGUAGE_MODELS[name], request)


def capture_model(name: str, batch: int | None = None, *, evaluate: bool = False) -> Trace:
    """Return the trace of one typical training step of a model, or evaluation; see `capture_step`.

    Raises InputError if there is no model of that name or if the batch is less than 1.
    """
    if name in LANGUAGE_MODELS:
        raise InputError(f"{name} generates: say with --decode how many tokens")
    return capture_step(model_of(name), batch, evaluate=evaluate)
