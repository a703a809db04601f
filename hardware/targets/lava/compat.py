"""What Lava 0.10 needs mended to run on Python 3.11 to 3.13 and NumPy 2. See docs/lava.md."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable
from functools import partial
from importlib import import_module
from operator import methodcaller
from typing import Any
from unittest import mock

import numpy as np

from .installed import INSTALL, LavaNotInstalled


def prepare_lava() -> None:
    """Make `import lava...` work, and Lava's processes run. Call it before any other import of Lava.

    Nothing changes outside Lava's own classes. Calling it again changes nothing.

    Raises:
        LavaNotInstalled: Lava, or a package it needs, cannot be found.
    """
    # Lava chooses how processes start while it is imported, and fails where another library has chosen before.
    choose = partial(multiprocessing.set_start_method, force=True)
    try:
        with mock.patch.object(multiprocessing, "set_start_method", choose):
            _mend_dataclasses()
            _mend_lost_wakeups()
            _mend_reshaped_ports()
            _mend_convolution()
    except ModuleNotFoundError as error:
        raise LavaNotInstalled(INSTALL) from error


def _mend_dataclasses() -> None:
    # CoreEncoder's fields default to instances of ByteEncoder, a dataclass without a hash, which Python 3.11 and
    # later take for mutable defaults and refuse. What else their module imports is imported before, unchanged.
    for name in ("compiler.subcompilers.address", "core.process.ports.connection_config", "core.process.variable"):
        import_module(f"lava.magma.{name}")
    with mock.patch.object(dataclasses, "dataclass", partial(dataclasses.dataclass, unsafe_hash=True)):
        import_module("lava.magma.compiler.var_model")


def _mend_lost_wakeups() -> None:
    # A port's thread looks whether its queue is empty, then puts a message in, and wakes the process only if it was.
    # Where the process empties the queue in between and goes to sleep, nobody wakes it: the run hangs, rarely. Or it
    # stops listening in between, and the thread dies calling None. So: put first, and wake whoever listens.
    from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort

    def listening(make_room: Callable[[Any], None]) -> Callable[[Any, Any], None]:
        def callback(port: Any, arrivals: Any) -> None:
            try:
                while arrivals.acquire() and not port._done:
                    make_room(port)
                    if observer := port.observer:
                        observer()
            except EOFError:
                pass

        return callback

    CspRecvPort._req_callback = listening(lambda port: port._queue.put_nowait(0))
    CspSendPort._ack_callback = listening(lambda port: port._semaphore.release())


def _mend_reshaped_ports() -> None:
    # ReshapePort (port.reshape, port.flatten) calls np.reshape(data, newshape=...), a name NumPy 2.4 dropped.
    # The receiving process raises TypeError at its first step, whatever it is, and the run hangs.
    from lava.magma.core.process.ports.ports import ReshapePort

    ReshapePort.get_transform_func_fwd = lambda port: methodcaller("reshape", port.shape)
    ReshapePort.get_transform_func_bwd = lambda port: methodcaller("reshape", port.old_shape)


def _mend_convolution() -> None:
    # The geometry is held in int8. NumPy 2 keeps that type beside Python integers, so that a width or a number
    # of channels above 127 raises OverflowError, and sums wrap around.
    from lava.proc.conv.models import AbstractPyConvModel

    for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
        getattr(AbstractPyConvModel, name).d_type = np.int32
