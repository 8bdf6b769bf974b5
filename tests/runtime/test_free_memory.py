"""Free memory, as files of the kernel tell it."""

import pytest

from fastgd.runtime.free_memory import free_memory


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    write(tmp_path / "proc/self/cgroup", "0::/own/job\n")
    return tmp_path


def test_of_a_machine(machine):
    assert free_memory(machine) == 8000 * 1024


@pytest.mark.parametrize("place", ["", "own", "own/job"])
def test_a_control_group_may_allow_less(machine, place):
    """Half of a machine's memory was taken for a fit in a container that had a tenth of it."""
    group = machine / "sys/fs/cgroup" / place
    write(group / "memory.max", "1000000\n")
    write(group / "memory.current", "700000\n")
    write(group / "memory.stat", "anon 400000\ninactive_file 200000\n")
    assert free_memory(machine) == 500_000
    write(group / "memory.max", "max\n")
    assert free_memory(machine) == 8000 * 1024


@pytest.mark.parametrize("place", ["", "own"])
def test_groups_of_version_1(machine, place):
    write(machine / "proc/self/cgroup", "5:cpu:/\n4:memory:/own/job\n0::/\n")
    group = machine / "sys/fs/cgroup/memory" / place
    write(group / "memory.limit_in_bytes", "1000000\n")
    write(group / "memory.usage_in_bytes", "1300000\n")
    write(group / "memory.stat", "total_inactive_file 200000\n")
    assert free_memory(machine) == 0


def test_a_machine_that_does_not_tell(tmp_path):
    assert free_memory(tmp_path) > 0
