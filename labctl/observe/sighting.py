"""A frame as one node saw it: what a capture is made of."""

from typing import NamedTuple


class Sighting(NamedTuple):
    """One frame at one interface."""

    time_ns: int
    """Since 1970, by the kernel's clock."""
    node: str
    interface: str
    is_outgoing: bool
    """Whether the node sent it. Loopback has each frame once, as arriving."""
    frame: bytes
    """From the Ethernet header on. Its sender may see it without its checksum, or before it is cut
    into segments."""

    @property
    def place(self) -> str:
        """``client1:veth_c1``."""
        return f"{self.node}:{self.interface}"
