"""The sections of a network without Lava around them."""

import numpy as np

import hardware
from hardware.targets.lava.partition import bus, partition
from hardware.targets.lava.section import Section


def run_sections(graph, inputs, count, folder, fused=True):
    """The sections of a network stepped in turn, without Lava."""
    flat = hardware.flatten(graph, fused=fused)
    plan = hardware.schedule(flat)
    time_steps, samples = inputs.shape[:2]
    stream = inputs.swapaxes(0, 1).reshape(-1, *inputs.shape[2:])
    frames = np.concatenate([stream, np.zeros((plan.depth, *stream.shape[1:]), stream.dtype)])
    parts = partition(plan, count)
    sections = [Section(flat, plan, names, frames, time_steps, folder) for names in parts]
    for step in range(1, len(frames) + 1):
        for section in sections:
            section.update(step)
        for name in bus(plan, parts):
            owner = next(section for section in sections if name in section.names)
            for section in sections:
                section.cells[name].value[...] = owner.cells[name].value
        for section in sections:
            section.transmit()
    shape = (samples, time_steps)
    return {n: r.reshape(*shape, *r.shape[1:]).swapaxes(0, 1) for s in sections for n, r in s.records.items()}
