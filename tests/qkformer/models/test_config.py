import json
from dataclasses import FrozenInstanceError, replace

import pytest

from qkformer import Config, ConfigError, config_names, create_model, get_config
from qkformer.models.config import EmbedLayer, PatchEmbedConfig


@pytest.mark.parametrize("name", config_names())
def test_a_configuration_survives_json(name):
    config = get_config(name)
    assert config.name == name
    restored = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert hash(restored) == hash(config)


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        get_config("qkformer-digits").tau = 3.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"time_steps": 0}, "time_steps is 0; it must be an integer of at least 1"),
        ({"num_classes": 2.5}, "num_classes is 2.5; it must be an integer"),
        ({"neuron": "relu"}, "neuron is 'relu'; it must be one of lif, if, plif"),
        ({"image_size": 9}, "image_size is 9; it must be a multiple of the stride, 2"),
        ({"tau": 0.5}, "tau is 0.5; it must be a finite number of at least 1"),
        ({"neuron": "plif", "tau": 1.0}, "tau is 1.0; it must be at least 1 time step, and more for plif"),
        ({"attention_threshold": 0.0}, "attention_threshold is 0.0; it must be a finite number of at least"),
        ({"v_threshold": float("nan")}, "v_threshold is nan; it must be a finite number of at least"),
        ({"tau": "2"}, "tau is '2'; it must be a finite number of at least"),
        ({"residual": "pre-activation"}, "pooling is 'spike'; with a pre-activation residual"),
        ({"stages": ()}, r"stages is \(\); it must be a list of 1 to 16 of StageConfig"),
        ({"family": "spikformer"}, "a spikformer has 1 stage; this configuration has 2"),
        ({"unused": ("tail",)}, r"unused has \['tail'\]; it may have block norms"),
        ({"batchleak": True}, "a configuration has no 'batchleak'; it has name, stages"),
    ],
)
def test_what_does_not_fit_is_named_with_its_limit(overrides, message):
    with pytest.raises(ConfigError, match=message):
        create_model("qkformer-digits", **overrides)


def test_stages_are_checked_too():
    stage = get_config("qkformer-digits").stages[0]
    with pytest.raises(ConfigError, match="dim is 64; it must be a multiple of heads, which is 7"):
        replace(stage, heads=7)
    with pytest.raises(ConfigError, match="dim is 32; its patch embedding ends in 64 channels"):
        replace(stage, dim=32)
    with pytest.raises(ConfigError, match="attention is 'softmax'; it must be one of token, channel, self"):
        replace(stage, attention="softmax")
    with pytest.raises(ConfigError, match="shortcut_from is 1; the layers are 0 to 0"):
        PatchEmbedConfig((EmbedLayer("proj", 8),), shortcut_from=1)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no configuration is called 'qkformer-mnist'; there are .*qkformer-digits"):
        get_config("qkformer-mnist")


def test_a_dictionary_of_another_version_is_refused():
    values = get_config("qkformer-digits").to_dict()
    with pytest.raises(ConfigError, match=r"not a configuration of this version: .*'dropout'"):
        Config.from_dict(values | {"dropout": 0.1})
    with pytest.raises(ConfigError, match=r"not a configuration of this version: 'stages'"):
        Config.from_dict({"name": "x"})
