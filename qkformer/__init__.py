"""Spiking transformers: the models and their training."""
