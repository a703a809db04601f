"""I: dv/dt = r x, a membrane that is read."""

import nir

from .readout import ReadoutKind


class IKind(ReadoutKind):
    """Keeps all of its membrane."""

    node_type = nir.I


KIND = IKind()
