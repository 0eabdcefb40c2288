"""What is told of the machine, the packages and the scheduler."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tracker_core.capture import machine, packages
from tracker_core.capture.scheduler import scheduler_ids


def test_system_python_and_user_are_those_of_this_process() -> None:
    assert machine.operating_system()["name"] == os.uname().sysname
    assert machine.operating_system()["machine"] == os.uname().machine
    assert machine.python() == {
        "version": sys.version.split()[0],
        "implementation": "CPython",
        "executable": sys.executable,
    }
    assert machine.user_name({}) == psutil.Process().username()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_usable_processors_heed_affinity() -> None:
    script = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    script += "from tracker_core.capture.machine import cpu; print(cpu())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "'n_usable': 1" in done.stdout or "'n_usable': 0." in done.stdout
    found = machine.cpu()
    assert found["model"] and 1 <= found["n_cores"] <= found["n_threads"] == os.cpu_count()


def test_memory_is_that_of_the_machine_or_less() -> None:
    assert 0 < machine.memory_bytes() <= psutil.virtual_memory().total


def test_packages_are_those_that_the_import_system_finds_with_their_versions() -> None:
    found = packages.installed_packages()
    expected = {d.metadata["Name"].replace("_", "-"): d.version for d in importlib.metadata.distributions()}
    fold = {name.lower().replace(".", "-"): version for name, version in found.items()}
    for name, version in expected.items():
        assert fold[name.lower().replace(".", "-")] == version, name


def test_packages_are_listed_in_milliseconds() -> None:
    packages.installed_packages()
    began_s = time.thread_time()
    packages.installed_packages()
    assert time.thread_time() - began_s < 0.1


def test_the_first_of_two_versions_on_the_path_counts_and_odd_folders_do_no_harm(tmp_path: Path) -> None:
    for folder, name in (("a", "Some_Thing-2.0+cpu.dist-info"), ("b", "some_thing-1.0.dist-info"), ("b", ".dist-info")):
        (tmp_path / folder / name).mkdir(parents=True)
    (tmp_path / "b" / "inplace.egg-info").mkdir()
    (tmp_path / "b" / "inplace.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nVersion: 3.1\n")
    (tmp_path / "b" / "old-0.9-py3.11.egg-info").mkdir()
    found = packages.installed_packages([str(tmp_path / "a"), str(tmp_path / "b"), "nowhere", "archive.zip"])
    assert found["Some-Thing"] == "2.0+cpu"
    assert (found["inplace"], found["old"]) == ("3.1", "0.9")


def test_only_imported_frameworks_are_told_and_none_is_imported_for_it() -> None:
    script = """
import sys
from tracker_core.capture import machine, packages
assert packages.imported_frameworks() == {} and machine.cuda() == {}
assert "torch" not in sys.modules and "numpy" not in sys.modules
import numpy
assert packages.imported_frameworks() == {"numpy": numpy.__version__}
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_cudnn_versions_are_read_by_both_of_its_schemes() -> None:
    assert machine._cudnn_version(8902) == "8.9.2"
    assert machine._cudnn_version(90100) == "9.1.0"
    assert machine._cudnn_version(91002) == "9.10.2"


def test_a_container_tells_runtime_image_and_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "0123456789abcdef" * 4
    files = {
        "/proc/self/cgroup": "0::/\n",
        "/proc/self/mountinfo": f"1 2 3:4 /var/lib/docker/containers/{digest}/hostname /etc/hostname rw - ext4 x rw\n",
    }
    monkeypatch.setattr(machine, "_read", lambda path, n_bytes=0: files.get(path, ""))
    monkeypatch.setattr(machine.os.path, "exists", lambda path: path == "/.dockerenv")
    assert machine.container({"CONTAINER_IMAGE": "team/train:1.2"}) == {
        "runtime": "docker",
        "image": "team/train:1.2",
        "id": digest,
    }
    files["/proc/self/cgroup"] = f"12:cpu:/kubepods/burstable/pod1234/{'f' * 64}\n"
    found = machine.container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert found == {"runtime": "kubernetes", "id": "f" * 64}
    files["/run/.containerenv"] = f'engine="podman-4"\nid="{"e" * 64}"\nimage="docker.io/team/train:2"\n'
    monkeypatch.setattr(machine.os.path, "exists", lambda path: path == "/run/.containerenv")
    assert machine.container({}) == {"runtime": "podman", "image": "docker.io/team/train:2", "id": "e" * 64}
    files.clear()
    monkeypatch.setattr(machine.os.path, "exists", lambda path: False)
    assert machine.container({}) == {}
    assert machine.container({"APPTAINER_CONTAINER": "/img/t.sif"}) == {"runtime": "apptainer", "image": "/img/t.sif"}


def test_schedulers_give_their_ids(tmp_path: Path) -> None:
    assert scheduler_ids({"HOSTNAME": "x", "JOB_ID": "1", "RANK": "0"}) == {}
    environ = {"SLURM_JOB_ID": "12", "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_PROCID": "3"}
    environ |= {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "1"}
    assert scheduler_ids(environ) == {
        "slurm": {"job_id": "12", "n_nodes": "2", "node_list": "n[1-2]", "task_id": "3"},
        "torchelastic": {"run_id": "none", "restart_count": "1"},
    }
    namespace = tmp_path / "namespace"
    namespace.write_text("team\n")
    found = scheduler_ids({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "pod-1"}, str(namespace))
    assert found == {"kubernetes": {"pod": "pod-1", "namespace": "team"}}
    assert scheduler_ids({"PBS_JOBID": "7.host", "LSB_JOBID": "8"}) == {
        "pbs": {"job_id": "7.host"},
        "lsf": {"job_id": "8"},
    }
