"""From the float model to the target, stage by stage."""
