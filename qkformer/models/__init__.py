"""Spiking transformers."""
