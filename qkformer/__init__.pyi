from .checkpoints.checkpoint import CheckpointInfo, inspect_checkpoint, load_checkpoint, read_metadata, save_checkpoint
from .checkpoints.errors import CheckpointError
from .data.images import load_data
from .data.sources.digits import load_digits
from .models.catalogue import config_names, get_config
from .models.config import Config, ConfigError
from .models.model import QKFormer, Spikformer, SpikingTransformer, create_model
from .models.neuron import IF, LIF, PLIF, Neuron, Population
from .models.record import record_spikes
from .training.catalogue import recipe_for
from .training.epoch import Epoch
from .training.evaluate import evaluate
from .training.loop import train
from .training.recipe import Recipe

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
