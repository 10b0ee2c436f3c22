"""One line about a frame, for logs and for failures."""

from labctl.packets.parse import parse_frame


def summary(frame: bytes) -> str:
    """Return ``10.0.2.2:4000 > 10.0.1.1:8080 UDP 16 bytes``, or as much as can be said."""
    packet = parse_frame(frame)
    vlan = "" if packet.vlan is None else f"VLAN {packet.vlan}, "
    return f"{vlan}{packet.source} > {packet.target} {packet.protocol} {packet.text}"
