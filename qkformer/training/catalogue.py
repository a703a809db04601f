"""The recipes by configuration: the papers', and those of the shipped checkpoints."""

from __future__ import annotations

from dataclasses import replace

from ..models.config import Config
from .augment import Augmentation
from .recipe import Recipe

# Small networks on one CPU core: few epochs, hence light augmentation and a high learning rate.
_FASHION_MNIST = Recipe(epochs=8, learning_rate=4e-3, precision="bf16", augmentation=Augmentation(crop=2, flip=0.5))
_CIFAR10_DEPLOYABLE = replace(_FASHION_MNIST, epochs=14)

# The papers' images are normalized; here they stay in [0, 1], as hardware gets them, and the first BatchNorm does it.
# Their precision is float16 with scaled losses. Their warm-up begins at 1e-5 (Spikformer on ImageNet: 1e-6), not at 0.

# cifar10/cifar10.yml and cifar100/cifar100.yml of zhouchenlin2096/QKFormer: 400 epochs and 10 of cool-down.
_QKFORMER_CIFAR = Recipe(
    epochs=410,
    batch_size=64,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    warm_up=20 / 410,
    cool_down=10,
    weight_decay=0.06,
    augmentation=Augmentation(flip=0.5, rand_augment=1, magnitude_deviation=0.4, mixup=0.5, erasing=0.25),
    mixing_epochs=200,
    precision="bf16",
)
# imagenet/train.py and logs/QKFormer_16M.txt there: 6e-4 for 256 images. Erased parts are noise there, black here.
_QKFORMER_IMAGENET = Recipe(
    epochs=200,
    batch_size=512,
    learning_rate=1.2e-3,
    final_learning_rate=1e-6,
    warm_up=5 / 200,
    weight_decay=0.05,
    augmentation=Augmentation(flip=0.5, rand_augment=2, erasing=0.25),
    precision="bf16",
)
# cifar10/cifar10.yml of ZK-Zhou/spikformer.
_SPIKFORMER_CIFAR = replace(_QKFORMER_CIFAR, epochs=310, batch_size=128, learning_rate=5e-4, warm_up=20 / 310)
# imagenet/imagenet.yml there; 24 images for each of a number of processes that is not said: 8 are taken.
_SPIKFORMER_IMAGENET = replace(
    _SPIKFORMER_CIFAR,
    batch_size=192,
    weight_decay=0.05,
    augmentation=Augmentation(flip=0.5, rand_augment=2, mixup=0.8, cutmix=1.0, erasing=0.25),
    mixing_epochs=None,
)

# By the start of a configuration's name; the longest that fits.
RECIPES: dict[str, Recipe] = {
    "qkformer-digits": Recipe(),
    "qkformer-cifar": _QKFORMER_CIFAR,
    "qkformer-10-": _QKFORMER_IMAGENET,
    "spikformer-2-": _SPIKFORMER_CIFAR,
    "spikformer-4-": _SPIKFORMER_CIFAR,
    "spikformer-8-": _SPIKFORMER_IMAGENET,
    "qkformer-fashion-mnist": _FASHION_MNIST,
    "qkformer-cifar10-deployable": _CIFAR10_DEPLOYABLE,
}


def recipe_for(config: Config) -> Recipe:
    """The recipe of a configuration, an ablation's being that of its base; the general one if there is none."""
    fitting = [name for name in RECIPES if config.name.startswith(name)]
    return RECIPES[max(fitting, key=len)] if fitting else Recipe()
