"""The files of a run, and who writes them: one run at a time, and none over another's without being told to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hardware.errors import InputError

STATE_SUFFIX = ".state"
LOG_SUFFIX = ".log.jsonl"
LOCK_SUFFIX = ".lock"
MOST_READ = 200  # characters of what a lock says of its holder

_held: set[int] = set()  # file descriptors of locks; a child that outlives this process is not to hold them


def _release_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_release_in_child)


@dataclass(frozen=True)
class Outputs:
    """A checkpoint and what lies beside it."""

    checkpoint: Path

    @property
    def state(self) -> Path:
        """All that a run needs to go on."""
        return self._beside(STATE_SUFFIX)

    @property
    def log(self) -> Path:
        """One line for each epoch."""
        return self._beside(LOG_SUFFIX)

    @property
    def lock(self) -> Path:
        """Held while a run writes; gone when it has ended, or of no effect if it was killed."""
        return self._beside(LOCK_SUFFIX)

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self.checkpoint}{suffix}")

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raise InputError where a run would replace what another has left, or write to what is no file."""
        if resume and overwrite:
            raise InputError("resume goes on with what is there, overwrite replaces it; choose one")
        there = [path for path in (self.checkpoint, self.state, self.log) if path.exists()]
        for path in there:
            if not path.is_file():
                kind = "a folder" if path.is_dir() else "a device or pipe"
                raise InputError(f"{path}: is {kind}; training writes a file there, choose another output")
        if there and not (resume or overwrite):
            are = "is the result" if len(there) == 1 else "are results"
            raise InputError(
                f"{', '.join(map(str, there))} {are} of an earlier training; --resume goes on with it, "
                "--overwrite replaces it, or choose another output"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other run from these files, also on other machines of one file system.

        Folders are made for them, and go again where nothing was written.

        Raises:
            InputError: another process holds them.
            OSError: the lock cannot be made.
        """
        folder = self.lock.parent
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = self._acquire()
        _held.add(descriptor)
        try:
            yield
        finally:
            _held.discard(descriptor)
            self.lock.unlink(missing_ok=True)
            os.close(descriptor)
            for place in made:
                with contextlib.suppress(OSError):  # it is not empty
                    place.rmdir()

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self.lock.exists() and os.path.samestat(os.fstat(descriptor), self.lock.stat()):
                    with contextlib.suppress(OSError):  # a full disk: it is held, and only does not say by whom
                        os.ftruncate(descriptor, 0)
                        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}".encode(), 0)
                    return descriptor
                os.close(descriptor)  # its holder ended, and took it away, between our opening and locking it
            except BlockingIOError:
                holder = os.pread(descriptor, MOST_READ, 0).decode(errors="replace") or "another process"
                os.close(descriptor)
                raise InputError(
                    f"{self.checkpoint}: {holder} is training into it; wait for its end, or choose another output"
                ) from None
            except BaseException:
                os.close(descriptor)
                raise
