"""What this machine can do, as plain data; measured by ``labctl.kernel.abilities``."""

from typing import NamedTuple


class HostAbilities(NamedTuple):
    """The facts about a machine that change how a lab is built on it."""

    ipv6: bool = True
    """Whether the kernel has IPv6 at all."""
    netem: bool = True
    """Whether the kernel has the qdisc netem."""
