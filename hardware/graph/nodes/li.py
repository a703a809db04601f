"""LI: tau dv/dt = v_leak - v + r x, a membrane that is read."""

import nir

from .readout import ReadoutKind


class LIKind(ReadoutKind):
    """Its membrane leaks."""

    node_type = nir.LI
    membrane_time = "tau"


KIND = LIKind()
