"""Networks for capture by shapes alone: no data and no training script."""

from simulator.errors import InputError
from simulator.trace.trace import Trace
from workloads.models.alexnet import ALEXNETS
from workloads.models.cnn1x import CNN1X
from workloads.models.gpt2 import GPT2S
from workloads.models.mobilenet import MOBILENETS
from workloads.models.model import Model
from workloads.models.resnet import RESNETS
from workloads.models.step import capture_step
from workloads.models.vgg import VGGS
from workloads.models.vit import VITS

__all__ = ["MODELS", "Model", "capture_model", "capture_step"]

_ALL = (*ALEXNETS, *CNN1X, *GPT2S, *MOBILENETS, *RESNETS, *VGGS, *VITS)
MODELS = {model.name: model for model in _ALL}
"""The models by name."""


def capture_model(name: str, batch: int | None = None) -> Trace:
    """Return the trace of one typical training step of a model; see `capture_step`.

    Raises InputError if there is no model of that name or if the batch is less than 1.
    """
    if name not in MODELS:
        raise InputError(f"no model {name!r}: choose one of {', '.join(MODELS)}")
    return capture_step(MODELS[name], batch)
