"""Memory, disks or open files are short, from the start or while it runs: one line, and nothing is left."""

import resource
from contextlib import suppress

import pytest
from amount import first_of

MEGABYTE = 1 << 20


def check_refused(started, *names):
    status, lines = started.outcome()
    assert status == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: "), lines
    for name in names:
        assert name in lines[0]


def check_done_or_refused(started):
    status, lines = started.outcome()
    assert (status, lines) == (0, ["equal"]) or (status == 2 and len(lines) == 1), lines


@pytest.mark.parametrize("sections", [pytest.param(0, marks=pytest.mark.long), 2])
@pytest.mark.parametrize("size", ["16k", *(pytest.param(size, marks=pytest.mark.exhaustive) for size in ("64k", "1m"))])
def test_no_room_for_temporary_files(size, sections, own_mounts):
    images = 50_000
    started = own_mounts(sections, images=images, prepare=f"mount -t tmpfs -o size={size} tmpfs $TMPDIR")
    check_refused(started, "No space left on device", "bytes free in", "temporary", "TMPDIR")


@pytest.mark.long
@pytest.mark.parametrize("sections", [0, 2])
@pytest.mark.parametrize("size", first_of(1, ["4k", "32k"]))
def test_no_room_in_shared_memory(size, sections, own_mounts):
    started = own_mounts(sections, prepare=f"mount -t tmpfs -o size={size} tmpfs /dev/shm")
    check_refused(started, "bytes free in /dev/shm", "make it larger")


@pytest.mark.long
@pytest.mark.parametrize("sections", [0, 2])
@pytest.mark.parametrize("place", ["/dev/shm", "$TMPDIR"])
def test_a_disk_fills_up_while_it_runs(place, sections, own_mounts):
    """What a run needs it has taken before."""
    prepare = f"mount -t tmpfs -o size=64m tmpfs {place}; ln -s {place} place"
    started = own_mounts(sections, images=300, prepare=prepare)
    started.wait_for("running")
    root = f"/proc/{started.caller.pid}/root"
    inside = place.replace("$TMPDIR", str(started.temporary))
    try:
        with open(f"{root}{inside}/filler", "wb", buffering=0) as filler:
            while filler.write(bytes(MEGABYTE)) == MEGABYTE:
                pass
    except OSError:
        pass  # full, or over
    status, lines = started.outcome()
    assert (status, lines) == (0, ["equal"]) or (status == 2 and len(lines) == 1 and "bytes free in" in lines[0])


@pytest.mark.parametrize("sections", [0, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(limit, marks=[] if limit == "-d 100" else pytest.mark.exhaustive)
        for limit in ("-d 100", "-d 200", "-d 300", "-d 400", "-v 500", "-v 1000")
    ],
)
def test_memory_is_short(limit, sections, run):
    option, megabytes = limit.split()
    check_done_or_refused(run(sections, images=100, prepare=f"ulimit {option} $(({megabytes} * 1024))"))


@pytest.mark.long
@pytest.mark.parametrize("sections", first_of(1, [0, 2]))
@pytest.mark.parametrize(("which", "stage"), [("worker", "channels"), ("worker", "running"), ("last", "running")])
def test_memory_becomes_short(which, stage, sections, run):
    started = run(sections, images=300)
    started.wait_for(stage)
    victim = started.victim(which)
    resource.prlimit(victim.pid, resource.RLIMIT_DATA, (victim.memory_info().data + MEGABYTE,) * 2)
    check_done_or_refused(started)


@pytest.mark.long
@pytest.mark.parametrize("sections", first_of(1, [0, 2]))
@pytest.mark.parametrize("files", first_of(2, [6, 24, 12, 48]))
def test_open_files_are_short(files, sections, run):
    started = run(sections, images=100)
    started.wait_for("started")
    with suppress(ProcessLookupError):  # it has ended
        resource.prlimit(started.worker().pid, resource.RLIMIT_NOFILE, (files, files))
    if files < 24:
        check_refused(started)
    else:
        check_done_or_refused(started)
