"""Spiking transformers: the models and their training."""

from .checkpoint import CheckpointInfo, inspect_checkpoint, load_checkpoint, read_metadata, save_checkpoint
from .config import Config, ConfigError
from .configs import config_names, get_config
from .data import load_data, load_digits
from .evaluate import evaluate
from .model import QKFormer, Spikformer, SpikingTransformer, create_model
from .neuron import IF, LIF, PLIF, Neuron, Population
from .recipe import Recipe
from .recipes import recipe_for
from .record import record_spikes
from .state_dict import CheckpointError
from .train import train
from .training_run import Epoch

__all__ = [
    "IF",
    "LIF",
    "PLIF",
    "CheckpointError",
    "CheckpointInfo",
    "Config",
    "ConfigError",
    "Epoch",
    "Neuron",
    "Population",
    "QKFormer",
    "Recipe",
    "Spikformer",
    "SpikingTransformer",
    "config_names",
    "create_model",
    "evaluate",
    "get_config",
    "inspect_checkpoint",
    "load_checkpoint",
    "load_data",
    "load_digits",
    "read_metadata",
    "recipe_for",
    "record_spikes",
    "save_checkpoint",
    "train",
]
