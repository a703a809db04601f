"""The recipes by configuration: the papers', and those of the shipped checkpoints."""

from __future__ import annotations

from dataclasses import replace

from .augment import Augmentation
from .config import Config
from .recipe import Recipe

# Small networks on one CPU core: few epochs, hence light augmentation and a high learning rate.
_FASHION_MNIST = Recipe(
    epochs=8, learning_rate=4e-3, precision="bf16", threads=1, augmentation=Augmentation(crop=2, flip=0.5)
)
_CIFAR10_DEPLOYABLE = replace(_FASHION_MNIST, epochs=14)

# By the start of a configuration's name; the longest that fits.
RECIPES: dict[str, Recipe] = {
    "qkformer-digits": Recipe(),
    "qkformer-fashion-mnist": _FASHION_MNIST,
    "qkformer-cifar10-deployable": _CIFAR10_DEPLOYABLE,
}


def recipe_for(config: Config) -> Recipe:
    """The recipe of a configuration, an ablation's being that of its base; the general one if there is none."""
    fitting = [name for name in RECIPES if config.name.startswith(name)]
    return RECIPES[max(fitting, key=len)] if fitting else Recipe()
