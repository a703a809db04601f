"""Published architectures with the golden weights, and small ones of the same parts."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import torch

import qkformer
from qkformer.models.config import Config, EmbedLayer, PatchEmbedConfig, StageConfig

_PATH = Path(__file__).parent / "golden" / "deterministic.py"
_SPEC = importlib.util.spec_from_file_location("deterministic", _PATH)
deterministic = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(deterministic)


def golden_model(name: str, **overrides) -> qkformer.SpikingTransformer:
    """A published configuration, in eval mode, with weights drawn from its keys."""
    model = qkformer.create_model(name, **overrides).eval()
    state = model.state_dict()
    model.load_state_dict(
        {key: torch.tensor(deterministic.parameter(key, tuple(t.shape))).to(t.dtype) for key, t in state.items()}
    )
    return model


def golden_inputs(config: Config, count: int) -> torch.Tensor:
    """Images, or event frames, drawn from the configuration's name."""
    frames = (config.time_steps,) if config.events else ()
    shape = (count, *frames, config.in_channels, config.image_size, config.image_size)
    return torch.tensor(deterministic.inputs(config.name, shape)).float()


def small_config(
    *, attention: str = "self", pooling: str = "current", time_steps: int = 4, size: int = 6, heads: int = 2
) -> Config:
    """Two stages of 4 and 8 channels: token attention, then the given one behind a max-pool of the given kind."""
    first = PatchEmbedConfig((EmbedLayer("proj", 2), EmbedLayer("proj1", 4)), shortcut_from=0)
    second = PatchEmbedConfig((EmbedLayer("proj3", 4), EmbedLayer("proj4", 8, pool="proj4_maxpool")))
    stage = StageConfig(first, 4, depth=1, heads=heads, attention="token", attention_name="tssa", mlp_ratio=1)
    last = replace(stage, embed=second, dim=8, attention=attention, attention_name="ssa")
    return Config(
        name="small",
        stages=(stage, last),
        num_classes=5,
        image_size=size,
        in_channels=2,
        pooling=pooling,
        time_steps=time_steps,
    )


def lively_model(config: Config, seed: int = 0) -> qkformer.SpikingTransformer:
    """A model of random weights in eval mode, in which the populations spike."""
    torch.manual_seed(seed)
    model = qkformer.create_model(config).eval()
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.2)
            module.running_var.fill_(0.05)
            module.weight.data.uniform_(0.8, 1.6)
            module.bias.data.uniform_(0.0, 0.9)
    return model
