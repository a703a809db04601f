import itertools
import json
import math
from dataclasses import replace

import pytest

from qkformer import Recipe, config_names, get_config, recipe_for
from qkformer.training.augment import Augmentation


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be an integer of at least 1"),
        ({"epochs": 10**12}, "epochs is 1000000000000; .* at most 100,000"),
        ({"epochs": True}, "epochs is True; it must be an integer"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be an integer"),
        ({"threads": 10**6}, "threads is 1000000; .* at most 1,024"),
        ({"seed": -1}, "seed is -1; it must be an integer of at least 0"),
        ({"seed": 2**64}, "seed is 18446744073709551616; .* at most 18,446,744,073,709,551,615"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001; it must be a finite number of at least 0"),
        ({"weight_decay": -1}, "weight_decay is -1; it must be a finite number of at least 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"precision": "fp8"}, "precision is 'fp8'; it must be one of fp32, bf16"),
        ({"accumulation": 65}, "accumulation is 65; it must be at most batch_size, 64"),
        ({"label_smoothing": 1}, "label_smoothing is 1; it must be below"),
        ({"cool_down": 40}, "cool_down is 40; it must be below epochs, which is 40"),
    ],
)
def test_a_recipe_is_checked(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**values)


def test_the_learning_rate_rises_falls_and_cools_down():
    recipe = Recipe(epochs=10, learning_rate=1.0, final_learning_rate=0.1, warm_up=0.2, cool_down=3)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx([step / 20 for step in range(1, 21)])
    assert rates[20] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[20:70]))
    assert rates[44] == pytest.approx(0.55, abs=0.02)
    assert rates[69:] == pytest.approx([0.1] * 31)


def test_mixing_ends():
    recipe = replace(Recipe(), augmentation=Augmentation(flip=0.5, mixup=0.5), mixing_epochs=2)
    assert [recipe.augmentation_at(epoch).mixup for epoch in range(4)] == [0.5, 0.5, 0, 0]
    assert recipe.augmentation_at(3).flip == 0.5
    assert Recipe(augmentation=Augmentation(mixup=0.5)).augmentation_at(10**6).mixup == 0.5


def test_every_image_configuration_has_the_recipe_of_its_paper():
    names = [name for name in config_names() if not get_config(name).events]
    for name in names:
        json.dumps(recipe_for(get_config(name)).to_dict(), allow_nan=False)
    assert recipe_for(get_config("qkformer-cifar100-qkta-qkca")) == recipe_for(get_config("qkformer-cifar10"))
    assert recipe_for(get_config("qkformer-10-512")).batch_size == 512
    assert recipe_for(get_config("qkformer-cifar10-deployable")) != recipe_for(get_config("qkformer-cifar10"))
    assert recipe_for(get_config("spikformer-8-512")).augmentation.cutmix == 1.0
    own = get_config("qkformer-digits").replace(name="mine")
    assert recipe_for(own) == Recipe()
