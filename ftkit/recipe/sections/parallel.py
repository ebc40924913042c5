"""Settings of the section `parallel`: over which processes a run is spread."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, Text


class ParallelSection(Section):
    """Over which devices and hosts a run is spread; none of it changes what the model learns."""

    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """What each of several processes holds: a copy of everything (`ddp`), or a shard of gradients, optimiser
    state and, between steps, weights (`fsdp`, FSDP2); `auto`: `fsdp` where a copy takes most of an
    accelerator's memory."""

    shard_size: Annotated[int, Field(ge=2)] | None = None
    """For `fsdp`: devices that share one copy of the weights, at least 2, such as those of one host; each
    such group has a copy (hybrid sharding); `null`: all devices share one."""

    num_devices: Count | None = None
    """Processes that `ftkit finetune` starts on each host, one a device, at least 1; `null`: one, or what
    `torchrun` has started."""

    num_hosts: Count = 1
    """Hosts on which the same command is given, at least 1."""

    rendezvous: Annotated[Text | None, Field(examples=["10.0.0.1:29400"])] = None
    """For several hosts: where they meet, `HOST:PORT`; one of them has this address."""

    host_rank: Annotated[int, Field(ge=0)] | None = None
    """Number of this host, from 0, the one with the address of `rendezvous` and the run folder; `null`: the
    hosts settle it."""

    rendezvous_timeout: Annotated[int, Field(ge=1)] = 900
    """How long to wait for all hosts, in seconds, at least 1."""

    max_restarts: Annotated[int, Field(ge=0)] = 0
    """How often all processes may be started again from the last checkpoint when one is lost, from 0."""
