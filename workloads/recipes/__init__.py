"""Small training scripts that really train, by name; importing this imports no torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

from simulator.errors import InputError

RECIPES = {
    "mlp_digits": "a 64-128-64-10 perceptron on 8 x 8 digits, Adam",
    "lenet_digits": "LeNet-5 on digits enlarged to 28 x 28, SGD with momentum",
    "resnet20_digits": "ResNet-20 on digits enlarged to 32 x 32, SGD with momentum",
}
"""Name and one line on each recipe."""

STUDIES = {
    "methods_digits": "LeNet-5 or ResNet-20 on digits by a training method, --method NAME",
}
"""Name and one line on each script of many trainings; their traces are not bundled."""


def recipe_path(name: str) -> Path | None:
    """Return the script of a recipe or study, None if there is none of that name."""
    exists = name in RECIPES or name in STUDIES
    return Path(__file__).with_name(f"{name}.py") if exists else None


def recipe(name: str) -> Any:
    """Return the module of a recipe, with `train(epochs, batch_size, seed, limit)`.

    Raises InputError if there is none of that name, or if a package that it needs is missing.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    try:
        return import_module(f"workloads.recipes.{name}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"recipe {name} needs {error.name}: pip install 'trainsoc[capture]'"
        ) from None
