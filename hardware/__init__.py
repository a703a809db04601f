"""NIR graph to spikes on a target."""
