"""Lava processes of our own, in a package of their own: Lava imports all that stands beside a process."""
