"""What a run must not leave: processes, shared memory, temporary folders. All of a run's carry its TMPDIR."""

import os
import threading
import time
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
CACHE = "torchinductor_"  # torch's, which every training leaves
LIMIT = 10.0  # seconds from a fault to the end, with nothing left behind, on a machine that does nothing else


def patience(seconds=LIMIT):
    """Longer where more processes want the cores than there are."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def processes(temporary: Path):
    """Those that live with this folder, or one in it, as TMPDIR; the dead whose exit nobody collected do not count."""
    found = []
    for process in psutil.process_iter():
        try:
            place = process.environ().get("TMPDIR", "")
            if place.startswith(str(temporary)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


class Witness(threading.Thread):
    """Notes the temporary folders that come and go: shared memory has their names."""

    def __init__(self, temporary: Path):
        super().__init__(daemon=True)
        self.temporary, self.names, self.done = temporary, set(), threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.02):
            self.look()

    def look(self):
        self.names |= {place.name for place in self.temporary.glob("lava-*")}

    def segments(self):
        return [segment for name in sorted(self.names) for segment in SHARED_MEMORY.glob(f"{name}-*")]

    def check(self, *, folders: bool = True):
        """Nothing is left, soon: the kernel ends the orphans of who was killed."""
        self.done.set()
        self.join()
        self.look()
        deadline = time.monotonic() + patience()
        while (processes(self.temporary) or self.segments()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert processes(self.temporary) == []
        assert self.segments() == []
        if folders:
            assert [place.name for place in self.temporary.iterdir() if not place.name.startswith(CACHE)] == []
