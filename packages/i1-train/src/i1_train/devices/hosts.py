"""Joining the processes of a run on several hosts, and leaving them again."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from i1_hooks import UserError

MODES = ("auto", "on", "off")
VARIABLES = {
    "coordinator": "JAX_COORDINATOR_ADDRESS",
    "num_processes": "JAX_NUM_PROCESSES",
    "process_id": "JAX_PROCESS_ID",
}
FLAGS = {name: f"--{name.replace('_', '-')}" for name in VARIABLES}
SHUTDOWN_SECONDS = 30
"""How long a failed host waits for the others to notice before it exits."""


class HostLostError(RuntimeError):
    """Another host left the run, and this one cannot continue without it."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The processes of a run; jax finds out what is `None` from the environment.

    Attributes:
        coordinator: `HOST:PORT` of the first process.
        num_processes: number of processes.
        process_id: number of this process, from 0.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `find_cluster` reads."""
    group = parser.add_argument_group("several hosts (start the same command on each)")
    group.add_argument(
        "--distributed",
        choices=MODES,
        default="auto",
        help="auto: join the other processes on TPU slices, under Slurm and Open MPI; on: let JAX find them",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="address of the first process")
    group.add_argument("--num-processes", metavar="N", type=int, help="number of processes")
    group.add_argument("--process-id", metavar="K", type=int, help="number of this process, from 0")


def find_cluster(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Cluster | None:
    """Returns the cluster this process belongs to, `None` when it runs alone.

    Flags take precedence, then the variables in `VARIABLES` (if all are set), then the cluster's own
    variables.

    Args:
        arguments: parsed flags of `add_flags`.
        environment: environment variables of the process.

    Raises:
        UserError: for flags that contradict each other, or a number that is not one.
    """
    given = {name: getattr(arguments, name) for name in VARIABLES}
    named = [FLAGS[name] for name, value in given.items() if value is not None]
    if arguments.distributed == "off":
        if named:
            raise UserError(f"--distributed off and {named[0]} exclude each other; leave one of them out")
        return None
    if named or all(variable in environment for variable in VARIABLES.values()):
        return _checked(
            given["coordinator"] or environment.get(VARIABLES["coordinator"]),
            _number("num_processes", given["num_processes"], environment),
            _number("process_id", given["process_id"], environment),
        )
    return Cluster() if arguments.distributed == "on" or in_cluster(environment) else None


def _number(name: str, flag: int | None, environment: Mapping[str, str]) -> int | None:
    text = environment.get(VARIABLES[name])
    if flag is not None or text is None:
        return flag
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{VARIABLES[name]} must be a whole number, got {text!r}") from None


def _checked(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Cluster:
    if coordinator is None or num_processes is None or process_id is None:
        values = zip(FLAGS.values(), (coordinator, num_processes, process_id), strict=True)
        missing = " and ".join(flag for flag, value in values if value is None)
        raise UserError(f"{missing} missing: the processes of a run need {', '.join(FLAGS.values())}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--coordinator must be HOST:PORT, got {coordinator!r}")
    if not 0 <= process_id < num_processes:
        raise UserError(
            f"--process-id must be in 0..{num_processes - 1} (there are --num-processes {num_processes}), "
            f"got {process_id}"
        )
    return Cluster(coordinator=coordinator, num_processes=num_processes, process_id=process_id)


def in_cluster(environment: Mapping[str, str]) -> bool:
    """Says whether this process is one of several that jax can find: under Slurm, Open MPI, on TPU slices.

    Kubernetes is not one of them: the pods of a job need not be one run, and jax would query the cluster's
    API.
    """
    slurm = {"SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID"} <= environment.keys()
    if slurm and int(environment.get("SLURM_NTASKS", "1")) > 1:
        return True
    if int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        return True
    platforms = environment.get("JAX_PLATFORMS")
    return (not platforms or "tpu" in platforms) and _on_tpu() and _in_slice(environment)


def _in_slice(environment: Mapping[str, str]) -> bool:
    """Says whether a TPU slice has further hosts, or only the metadata server knows, which jax asks."""
    workers = environment.get("TPU_PROCESS_ADDRESSES", environment.get("TPU_WORKER_HOSTNAMES"))
    if workers is None:
        return "TPU_SKIP_MDS_QUERY" not in environment
    return "," in workers or int(environment.get("MEGASCALE_NUM_SLICES") or "1") > 1


def _on_tpu() -> bool:
    from jax._src import cloud_tpu_init  # jax has no public way to see chips without using them

    return cloud_tpu_init.running_in_cloud_tpu_vm


@contextlib.contextmanager
def join_cluster(cluster: Cluster | None) -> Iterator[None]:
    """Joins the other processes of a run while the block runs; does nothing when there are none.

    Enter it before anything touches a device. When this process fails, those that wait for it fail too.

    Raises:
        UserError: when the other processes cannot be found.
        HostLostError: when another host leaves the run while this one needs it.
    """
    if cluster is None:
        yield
        return
    import jax

    from i1_train.devices.agreement import describe_failure, exchange, report_failure

    try:
        jax.distributed.initialize(
            cluster.coordinator,
            cluster.num_processes,
            cluster.process_id,
            cluster_detection_method="deactivate" if cluster.coordinator else None,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        raise UserError(
            f"cannot join the other processes: {describe_failure(error)}; name them with --coordinator "
            "HOST:PORT --num-processes N --process-id K, or train alone with --distributed off"
        ) from error
    try:
        yield
        exchange("end", "")  # the first host is busy longest: it writes and draws
    except jax.errors.JaxRuntimeError as error:
        raise HostLostError(
            f"the devices stopped, most likely because another host left ({describe_failure(error)[:200]}); "
            "look at the other hosts' output, then start all again: the run resumes from its last checkpoint"
        ) from error
    except BaseException as error:
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # the store is gone if the first host is
            report_failure(error)
        raise
