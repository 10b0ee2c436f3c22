"""Which links are wired: built so that labctl itself, not netem, can make them bad."""

from typing import Literal, NamedTuple

from labctl.errors import LabError
from labctl.plan.host import HostAbilities
from labctl.topology.model import Link, Topology

Impairments = Literal["auto", "netem", "wire", "none"]
"""What ``labctl up --impairments`` may say.

``none`` builds plain links on any kernel: where it lacks netem they cannot be made bad, and cost half
as many interfaces.
"""

HIDDEN_MTU = 65535
"""Bytes. The hidden ends take whatever the nodes' ends send."""


class WiredLink(NamedTuple):
    """A link of two veth pairs whose far ends lie in the lab's hidden namespace."""

    number: int
    """Of the link in the lab file, from 0."""
    link: Link
    left_far: str
    """The hidden interface at the other end of the left endpoint's veth."""
    right_far: str
    left_ifindex: int
    right_ifindex: int


def far_names(number: int) -> tuple[str, str]:
    """Return the hidden far ends of a link's left and right endpoint."""
    return f"w{number}a", f"w{number}b"


def detour_names(number: int) -> tuple[str, str]:
    """Return the hidden pair by which a link's frames get to the emulator.

    Those of the left endpoint go in at the first and are read at the second; those of the right
    one the other way round.
    """
    return f"x{number}a", f"x{number}b"


def hidden_netns(topology: Topology) -> str:
    """Return what the hidden namespace would be called, if it had a name."""
    return f"{topology.name}-wire"


def depends_on_netem(topology: Topology, impairments: Impairments) -> bool:
    """Whether the plan of a lab can differ with ``HostAbilities.netem``, which takes time to know."""
    if impairments == "netem":
        return True
    free = [link for link in topology.links if not _has_rules(link)]
    if impairments == "auto":
        return bool(free)
    # Plain links that nobody makes bad need no netem, and wired ones never do.
    return impairments == "none" and any(link.left.impair or link.right.impair for link in free)


def is_wired(link: Link, abilities: HostAbilities, impairments: Impairments) -> bool:
    """Decide how a link is built: wired where netem is missing, or would not do."""
    if _has_rules(link):
        return True
    if impairments == "auto":
        return not abilities.netem
    return impairments == "wire"


def _has_rules(link: Link) -> bool:
    return bool(link.left.rules or link.right.rules)


def wired_links(
    topology: Topology, abilities: HostAbilities, impairments: Impairments
) -> list[WiredLink]:
    """Return the links that are wired, with their hidden interfaces.

    Raises ``LabError`` where netem is demanded of a kernel that has none.
    """
    if impairments == "netem" and not abilities.netem:
        raise LabError(
            "this kernel has no netem",
            hint="leave --impairments out, or use --impairments wire",
            exit_code=3,
        )
    wired = [
        (number, link)
        for number, link in enumerate(topology.links)
        if is_wired(link, abilities, impairments)
    ]
    return [
        WiredLink(number, link, *far_names(number), 2 * position, 2 * position + 1)
        for position, (number, link) in enumerate(wired, start=1)
    ]
