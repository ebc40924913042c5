"""Start the processes of a run through torch's own launcher, the one behind `torchrun`."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import FtkitError, InterruptedRun, LaunchError, RecipeError
from ftkit.pipeline.readying import make_ready
from ftkit.pipeline.starting import claim
from ftkit.recipe import ParallelSection, Recipe, dump_recipe, list_rows_in_memory
from ftkit.runs import STARTED_BY_US
from ftkit.training.machine import count_cores

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

logger = logging.getLogger(__name__)

_SIGNAL_NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1")
STOP_SIGNALS = [getattr(signal, name) for name in _SIGNAL_NAMES if hasattr(signal, name)]
"""What the launcher hands on to the processes, which then finish their step and write a checkpoint."""

SECONDS_TO_STOP = 600
"""How long they may take for that before they are killed."""


def starts_processes(parallel: ParallelSection) -> bool:
    """Tell whether a run needs the launcher, for several processes or restarts, and is not under one."""
    several = (parallel.num_devices or 1) * parallel.num_hosts > 1
    return (several or parallel.max_restarts > 0) and "RANK" not in os.environ


def launch(recipe: Recipe, *, fresh: bool = False, force: bool = False) -> None:
    """Prepare the rows once, start the processes of this host, and wait for their end.

    Args:
        recipe: its section `parallel` says how many processes on how many hosts.
        fresh: replace an older run; not again when the processes are started again.
        force: start even where a check says that the run would be useless.

    Raises:
        LaunchError: a host did not come, or a process was lost more often than may be.
        FtkitError: what one of the processes raised.
    """
    check_devices(recipe)
    if names := list_rows_in_memory(recipe):
        raise LaunchError(
            f"{', '.join(names)}: rows in memory cannot be handed to other processes; write them to a file, "
            "and name that"
        )
    claim(recipe, fresh=fresh)
    prepare(recipe)
    options = ["--fresh"] * fresh + ["--force"] * force
    with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(dump_recipe(recipe), encoding="utf-8")
        # Whether the recipe may name code was settled when this process read it.
        words = ["-m", "ftkit", "finetune", str(path), "--allow", *options]
        run_processes(recipe.parallel, words, Path(folder))


def check_devices(recipe: Recipe) -> None:
    """Refuse more processes than the host has devices.

    Raises:
        RecipeError: says how many there are.
    """
    import torch

    wanted = recipe.parallel.num_devices or 1
    on_cpu = bool(recipe.training.arguments.get("use_cpu")) or not torch.cuda.is_available()
    if not on_cpu and wanted > torch.cuda.device_count():
        raise RecipeError(
            f"parallel.num_devices: {wanted} processes, and this host has "
            f"{torch.cuda.device_count()} devices; set it to that at most"
        )
    if on_cpu and wanted > count_cores():
        logger.warning("parallel.num_devices: %d processes share %d CPU cores", wanted, count_cores())


def prepare(recipe: Recipe) -> None:
    """Read, clean and encode the rows before there are several processes, in one that ends with it.

    So it happens once, no process waits for another in a group that times out, and what the user can mend
    is said once. The model that is loaded on the way is gone with the process.

    Raises:
        FtkitError: the first thing that cannot be.
    """
    level = logging.getLogger("ftkit").getEffectiveLevel()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_speak, initargs=(level,)) as pool:
        pool.submit(_make_ready, recipe).result()


def _speak(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("ftkit")
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)


def _make_ready(recipe: Recipe) -> None:
    make_ready(recipe)  # what it returns is not sent back: all of it lies in the cache


def run_processes(parallel: ParallelSection, words: list[str], folder: Path) -> None:
    """Run Python with some words in each process of this host, until all have ended well.

    Args:
        parallel: how many processes, on how many hosts, that meet where.
        words: what each runs, behind the interpreter.
        folder: for what the launcher writes.
    """
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    logging.getLogger("torch.distributed.launcher").setLevel(logging.CRITICAL)
    say_start(parallel)
    began = time.monotonic()
    try:
        with _environment(parallel):
            elastic_launch(make_config(parallel, folder), sys.executable)(*words)
    except SignalException as error:
        raise InterruptedRun(
            "stopped; the same command goes on from the last checkpoint, if there is one",
            signal=int(error.sigval),
        ) from error
    except ChildFailedError as error:
        raise make_lost_error(error, parallel) from error
    except (RendezvousError, DistError, TimeoutError) as error:
        raise make_meeting_error(parallel, time.monotonic() - began, error) from error


def say_start(parallel: ParallelSection) -> None:
    """Say how many processes start, and what is waited for."""
    num_devices, num_hosts = parallel.num_devices or 1, parallel.num_hosts
    if num_hosts == 1:
        logger.info("starting %d processes", num_devices)
        return
    logger.info(
        "waiting for %d hosts at %s, up to %d s; then %d processes on each",
        num_hosts,
        parallel.rendezvous,
        parallel.rendezvous_timeout,
        num_devices,
    )


def make_config(parallel: ParallelSection, folder: Path) -> Any:
    """Translate the settings for torch's launcher."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    seconds = parallel.rendezvous_timeout
    endpoint = parallel.rendezvous or "localhost:0"
    backend, meeting = "c10d", {"timeout": seconds, "join_timeout": seconds, "read_timeout": seconds}
    if parallel.host_rank is not None:
        backend, meeting = "static", {"rank": parallel.host_rank, "timeout": seconds}
    elif parallel.num_hosts > 1:
        meeting["is_host"] = has_address(endpoint)
    return LaunchConfig(
        min_nodes=parallel.num_hosts,
        max_nodes=parallel.num_hosts,
        nproc_per_node=parallel.num_devices or 1,
        run_id="ftkit",
        rdzv_backend=backend,
        rdzv_endpoint=endpoint,
        rdzv_configs=meeting,
        max_restarts=parallel.max_restarts,
        local_addr=find_address(endpoint) if parallel.num_hosts > 1 else None,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        signals_to_handle=",".join(each.name for each in STOP_SIGNALS),
        shutdown_timeout=SECONDS_TO_STOP,
    )


@contextmanager
def _environment(parallel: ParallelSection) -> Iterator[None]:
    """Set what the processes inherit while they run: their share of the cores, how they find each other."""
    before, handlers = dict(os.environ), {number: signal.getsignal(number) for number in STOP_SIGNALS}
    os.environ[STARTED_BY_US] = shlex.join(sys.argv)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # torch 2.13 keeps one store over restarts, with the addresses of processes that are gone.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, count_cores() // (parallel.num_devices or 1))))
    if parallel.num_hosts > 1 and parallel.rendezvous is not None:
        name = find_interface(find_address(parallel.rendezvous))
        if name is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)  # gloo takes the one of the host's name
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # torch's launcher leaves its own
                signal.signal(number, handler)


def find_address(endpoint: str) -> str | None:
    """Return the address by which the place where the hosts meet knows this one; None where there is none."""
    host, _, port = endpoint.rpartition(":")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]"), int(port) or 1, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)  # UDP: nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return None


def has_address(endpoint: str) -> bool:
    """Tell whether the address where the hosts meet is one of this host's own."""
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        named = {place[4][0] for place in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(named & {address for _, address in _list_addresses()})


def find_interface(address: str | None) -> str | None:
    """Return the name of the network interface that has an address."""
    return next((name for name, own in _list_addresses() if own == address), None)


def _list_addresses() -> list[tuple[str, str]]:
    import psutil

    return [(name, each.address) for name, some in psutil.net_if_addrs().items() for each in some]


def make_meeting_error(parallel: ParallelSection, seconds: float, error: BaseException) -> LaunchError:
    """Say which hosts were waited for, how long, and what to do."""
    reasons = str(error.__cause__ or error).strip().splitlines()
    reason = f" ({reasons[0][:200]})" if reasons else ""
    return LaunchError(
        f"parallel.rendezvous: {parallel.num_hosts} hosts did not meet at {parallel.rendezvous}, or lost "
        f"each other: waited {seconds:.0f} s{reason}. Give the same command on all of them within "
        "parallel.rendezvous_timeout, and see that the port is open on the host that has this address"
    )


def make_lost_error(error: ChildFailedError, parallel: ParallelSection) -> FtkitError:
    """Say what the process said that failed first, or how it ended."""
    rank, failure = error.get_first_failure()
    told = failure.error_file_data.get("ftkit")
    if told and told["signal"] is not None:
        return InterruptedRun(told["message"], signal=told["signal"])
    if told:
        return LaunchError(told["message"])
    how = f"by {failure.signal_name()}" if failure.exitcode < 0 else f"with exit code {failure.exitcode}"
    restarts = f" {parallel.max_restarts} restarts are used up;" if parallel.max_restarts else ""
    return LaunchError(
        f"process {rank} ended {how}; what it said stands above.{restarts} the same command goes on from the "
        "last checkpoint, if there is one; parallel.max_restarts lets the launcher do so by itself"
    )
