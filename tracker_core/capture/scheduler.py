"""Ids that a scheduler gave this process, from its environment variables. Pure, but for one file of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping

_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

# scheduler -> (a variable that is set wherever it runs, {name in the record: variables, the first that is set})
_SCHEDULERS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "slurm": (
        "SLURM_JOB_ID",
        {
            "job_id": ("SLURM_JOB_ID",),
            "job_name": ("SLURM_JOB_NAME",),
            "step_id": ("SLURM_STEP_ID", "SLURM_STEPID"),
            "array_job_id": ("SLURM_ARRAY_JOB_ID",),
            "array_task_id": ("SLURM_ARRAY_TASK_ID",),
            "restart_count": ("SLURM_RESTART_COUNT",),
            "cluster": ("SLURM_CLUSTER_NAME",),
            "partition": ("SLURM_JOB_PARTITION",),
            "account": ("SLURM_JOB_ACCOUNT",),
            "qos": ("SLURM_JOB_QOS",),
            "node_list": ("SLURM_JOB_NODELIST", "SLURM_NODELIST"),
            "n_nodes": ("SLURM_JOB_NUM_NODES", "SLURM_NNODES"),
            "n_tasks": ("SLURM_NTASKS", "SLURM_NPROCS"),
            "node_id": ("SLURM_NODEID",),
            "task_id": ("SLURM_PROCID",),
            "local_id": ("SLURM_LOCALID",),
            "submit_host": ("SLURM_SUBMIT_HOST",),
            "gpus": ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS"),
        },
    ),
    "pbs": (
        "PBS_JOBID",
        {
            "job_id": ("PBS_JOBID",),
            "job_name": ("PBS_JOBNAME",),
            "array_index": ("PBS_ARRAY_INDEX", "PBS_ARRAYID"),
            "queue": ("PBS_QUEUE",),
            "task_number": ("PBS_TASKNUM",),
            "submit_host": ("PBS_O_HOST",),
        },
    ),
    "lsf": (
        "LSB_JOBID",
        {
            "job_id": ("LSB_JOBID",),
            "job_name": ("LSB_JOBNAME",),
            "job_index": ("LSB_JOBINDEX",),
            "queue": ("LSB_QUEUE",),
            "hosts": ("LSB_HOSTS",),
            "n_processes": ("LSB_DJOB_NUMPROC",),
        },
    ),
    "grid_engine": (
        "SGE_ROOT",
        {"job_id": ("JOB_ID",), "job_name": ("JOB_NAME",), "task_id": ("SGE_TASK_ID",), "queue": ("QUEUE",)},
    ),
    "torchelastic": (
        "TORCHELASTIC_RUN_ID",
        {
            "run_id": ("TORCHELASTIC_RUN_ID",),
            "restart_count": ("TORCHELASTIC_RESTART_COUNT",),
            "max_restarts": ("TORCHELASTIC_MAX_RESTARTS",),
            "group_rank": ("GROUP_RANK",),
            "group_world_size": ("GROUP_WORLD_SIZE",),
            "role_name": ("ROLE_NAME",),
        },
    ),
    "kubernetes": (
        "KUBERNETES_SERVICE_HOST",
        {
            "pod": ("POD_NAME", "MY_POD_NAME", "K8S_POD_NAME", "HOSTNAME"),
            "namespace": ("POD_NAMESPACE", "MY_POD_NAMESPACE", "K8S_NAMESPACE", "NAMESPACE"),
            "node": ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME"),
            "pod_uid": ("POD_UID",),
            "job": ("JOB_NAME",),
            "job_index": ("JOB_COMPLETION_INDEX",),
            "service_account": ("POD_SERVICE_ACCOUNT", "SERVICE_ACCOUNT"),
        },
    ),
}


def scheduler_ids(environ: Mapping[str, str], namespace_file: str = _NAMESPACE_FILE) -> dict[str, dict[str, str]]:
    """Return what each scheduler at work here says of this process: {"slurm": {"job_id": "123", ...}, ...}."""
    found = {}
    for scheduler, (sign, names) in _SCHEDULERS.items():
        if sign not in environ:
            continue
        values = {name: _first(environ, variables) for name, variables in names.items()}
        found[scheduler] = {name: value for name, value in values.items() if value}
    if "kubernetes" in found and "namespace" not in found["kubernetes"]:
        namespace = _read(namespace_file)
        found["kubernetes"] |= {"namespace": namespace} if namespace else {}
    return {scheduler: values for scheduler, values in found.items() if values}


def _first(environ: Mapping[str, str], variables: tuple[str, ...]) -> str:
    return next((environ[variable] for variable in variables if environ.get(variable)), "")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1024).strip()
    except OSError:
        return ""
