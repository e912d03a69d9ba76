"""Cores are counted as the system grants them: affinity, quotas of control groups, OMP_NUM_THREADS."""

import os
from pathlib import Path

import pytest

from stillspeak.cores import granted_cores, usable_cores

V2 = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 25 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.fixture(autouse=True)
def host_of_64(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def machine(root: Path, own: str, mounts: str, files: dict[str, str]) -> Path:
    """A root folder with what the kernel tells of control groups."""
    told = {"proc/self/cgroup": own, "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts}
    for name, text in (told | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("9900000 100000", 64)],
)
def test_a_container_has_the_cores_of_its_quota(tmp_path: Path, quota: str, cores: int):
    assert granted_cores(machine(tmp_path, "0::/\n", V2.format(top="/"), {"cpu.max": quota + "\n"})) == cores


@pytest.mark.parametrize(("quota", "cores"), [(300_000, 3), (-1, 64), (0, 64), (10_000, 1)])
def test_version_1_has_its_own_files(tmp_path: Path, quota: int, cores: int):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": f"{quota}\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    root = machine(tmp_path, "5:cpu,cpuacct:/\n1:name=systemd:/\n", V1.format(top="/"), files)
    assert granted_cores(root) == cores


def test_the_smallest_quota_on_the_way_to_the_root_holds(tmp_path: Path):
    files = {"pod/cpu.max": "400000 100000", "pod/box/cpu.max": "max 100000", "pod/box/job/cpu.max": "800000 100000"}
    files |= {"other/cpu.max": "100000 100000", "pod/box/job/below/cpu.max": "100000 100000"}
    assert granted_cores(machine(tmp_path, "0::/pod/box/job\n", V2.format(top="/"), files)) == 4


def test_a_container_that_sees_its_hosts_path_finds_its_own_files(tmp_path: Path):
    """Docker without a namespace of its own for control groups: the tree begins at the container's group."""
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    files |= {"cpu,cpuacct/in/cpu.cfs_quota_us": "250000", "cpu,cpuacct/in/cpu.cfs_period_us": "100000"}
    own = "4:cpu,cpuacct:/docker/f00/in\n"
    assert granted_cores(machine(tmp_path, own, V1.format(top="/docker/f00"), files)) == 3


def test_both_versions_at_once_count(tmp_path: Path):
    files = {"cpu,cpuacct/a/cpu.cfs_quota_us": "600000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000", "cpu.max": "x"}
    own = "5:cpu,cpuacct:/a\n0::/../moved\n"
    assert granted_cores(machine(tmp_path, own, V2.format(top="/") + V1.format(top="/"), files)) == 6


def test_a_machine_that_tells_nothing_or_nonsense_has_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert granted_cores(tmp_path) == 64
    assert granted_cores(machine(tmp_path, "nonsense\n::\n", "x\n- -\n" + V2.format(top="/"), {"cpu.max": "1 0"})) == 64
    monkeypatch.setattr(os, "cpu_count", lambda: 5)

    def refuse(_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "sched_getaffinity", refuse)
    assert granted_cores(tmp_path / "none") == 5
    monkeypatch.delattr(os, "sched_getaffinity")
    assert granted_cores(tmp_path / "none") == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert granted_cores(tmp_path / "none") == 1


@pytest.mark.parametrize(
    ("said", "cores"),
    [("4", 4), ("4,2", 4), (" 3 ", 3), ("100", 64), ("0", 64), ("", 64), ("many", 64), ("-2", 64), ("2.5", 64)],
)
def test_openmps_setting_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, cores: int):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert usable_cores(tmp_path) == cores
    assert granted_cores(tmp_path) == 64
