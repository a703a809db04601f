"""Checkpoints: reading, recognizing, writing."""
