"""Loihi, the first. Source: Davies et al. 2018, IEEE Micro.

Its spikes carry no number, so a network whose residual sums are relayed does not fit it.
"""

from dataclasses import replace

from .loihi2 import CHIP as LOIHI_2

CHIP = replace(LOIHI_2, name="loihi1", title="Loihi 1", graded_spikes=False)
