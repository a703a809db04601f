"""The command line: `qkformer demo | info | train | export | simulate | verify | compare | targets`.

Exit status: 0 done, 1 spikes differ, 2 could not run (one line says why), 70 a bug of the toolkit, 130 interrupted (143
by SIGTERM, 129 by a closed terminal). A reader that closes standard output early (`| head`) changes none of these.
Nothing is imported here before it is needed: help, lists and usage errors need none of the large packages, and from
main's first line on Ctrl-C is a command's own. What Python does before that line is out of our hands.
"""


def main() -> None:
    """Run the command line. What a user can mend ends in one line on standard error; anything else is a bug."""
    import sys

    try:
        from .interrupts import end, listen

        listen()
        from .ending import run

        status = end(run(sys.argv[1:]))
    except KeyboardInterrupt:
        from .interrupts import end  # anew: it may have come while that was imported

        status = end(None)
    sys.exit(status)
