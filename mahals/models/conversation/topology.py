"""Topology: who hears whom?"""

from __future__ import annotations

from typing import Literal, get_args

from mahals.records import InputError, unknown

Topology = Literal["pair", "ring", "star", "all_to_all"]
"""`pair`: two agents hear each other; `ring`: each hears the one before it; `star`: the first hears
all and is heard by all, the others hear it alone; `all_to_all`: each hears all others."""

TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)


def hears(topology: Topology, agents: int) -> tuple[tuple[int, ...], ...]:
    """Of each agent, the numbers of the agents that it hears, ascending.

    Raises InputError for fewer than two agents, a pair that is not two, or an unknown topology.
    """
    if topology not in TOPOLOGIES:
        raise unknown("topology", topology, TOPOLOGIES)
    if agents < 2 or (topology == "pair" and agents != 2):
        raise InputError(
            f"agents of a {topology}",
            expected="exactly 2" if topology == "pair" else "at least 2",
            got=str(agents),
            cure="name as many agents, or choose another topology",
        )
    everyone = range(agents)
    if topology == "ring":
        return tuple(((i - 1) % agents,) for i in everyone)
    if topology == "star":
        return tuple(tuple(range(1, agents)) if i == 0 else (0,) for i in everyone)
    return tuple(tuple(j for j in everyone if j != i) for i in everyone)
