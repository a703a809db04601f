"""CubaLI: tau_syn dI/dt = w_in x - I, tau_mem dv/dt = v_leak - v + r I, a membrane that is read."""

import nir

from .readout import ReadoutKind


class CubaLIKind(ReadoutKind):
    """Its current leaks, too."""

    node_type = nir.CubaLI
    membrane_time = "tau_mem"
    current_time = "tau_syn"


KIND = CubaLIKind()
