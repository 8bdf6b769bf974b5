"""Memory that a process may still take: what the machine has free, and in a container no more than
its control group is allowed.
"""

import os
from pathlib import Path

# Taken for the machine's where it does not tell.
ASSUMED_MEMORY = 1 << 30


def free_memory(root=Path("/")):
    """Bytes that are free: of the machine (Linux tells, elsewhere half of what there is), and
    within the limits of the control groups that the process is in.

    Parameters
    ----------
    root : Path, optional
        Where the folders proc and sys are.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    return max(min([_of_machine(root), *_of_groups(root)]), 0)


def _of_machine(root):
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable"))
        return int(free.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 4 * ASSUMED_MEMORY


# Of either version of control groups: the folder, the files of limit and use, and what of the use
# is pages of files, which are given back.
VERSIONS = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _of_groups(root):
    """What is left of the limit of each control group around the process."""
    try:
        own = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        own = []
    for controllers, (folder, *files) in VERSIONS.items():
        groups = root / "sys/fs/cgroup" / folder
        lines = (line.split(":", 2) for line in own)
        paths = [path for _, of, path in lines if controllers in of.split(",")]
        own_places = [groups / path.lstrip("/") for path in paths]
        around = {groups, *own_places, *(one for place in own_places for one in place.parents)}
        # In a container the path may be that of the machine outside: its own group is the root.
        for place in around:
            if place.is_relative_to(groups):
                yield from _left(place, *files)


def _left(place, limit, used, files):
    """One number where a group has a limit, else none."""
    try:
        most = int((place / limit).read_text())  # "max" where there is none
        taken = int((place / used).read_text())
        stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return
    yield most - taken + int(stat.get(files, 0))
