"""netem at the root of an interface: put there, changed while packets pass, taken away, read back.

The messages are for ``netlink.Batch``, in the namespace of the interface.
"""

import errno
from _socket import AF_UNSPEC, socket
from collections.abc import Iterator
from struct import pack, unpack_from
from typing import NamedTuple

from labctl.errors import LabError, machine_error
from labctl.kernel import netem, netlink
from labctl.topology.distributions import distribution_table
from labctl.topology.impairment import Impairment

_RTM_NEWQDISC, _RTM_DELQDISC, _RTM_GETQDISC = 36, 37, 38
_NLM_F_REPLACE = 0x100
_TC_H_ROOT = 0xFFFF_FFFF
_TCMSG = "BxxxiIII"
_TCMSG_BYTES = 20
_TCA_KIND, _TCA_OPTIONS, _TCA_STATS2 = 1, 2, 7
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 1, 3, 8


class Statistics(NamedTuple):
    """What a netem has counted since it was put there; a change does not start it again."""

    sent_packets: int
    """Duplicates count, and packets that wait do not."""
    sent_bytes: int
    dropped: int
    """By ``loss``, and those for which ``limit`` left no room."""
    overlimits: int
    waiting_packets: int
    waiting_bytes: int


class InstalledNetem(NamedTuple):
    """A netem as the kernel has it."""

    impairment: Impairment
    """As ``netem.decode`` tells it; ``netem.as_asked`` gives it its distributions."""
    statistics: Statistics


def add(ifindex: int, impairment: Impairment, table: netem.Table = distribution_table) -> bytes:
    """Return the message that puts netem on an interface that has no queueing discipline."""
    options = netem.encode(impairment, is_change=False, table=table)
    return _put(ifindex, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, options)


def replace(ifindex: int, impairment: Impairment, table: netem.Table = distribution_table) -> bytes:
    """Return the message that makes netem do this and nothing else, whatever was there.

    A netem that is there is changed in one step. No packet is lost by that: those that wait go
    when they would have gone, also where packets that come after the change overtake them, and
    where more wait than the new ``limit`` allows. What was remembered of earlier packets is
    forgotten (correlations, the state of a loss model, the count to a gap).
    """
    options = netem.encode(impairment, is_change=True, table=table)
    return _put(ifindex, netlink.NLM_F_CREATE | _NLM_F_REPLACE, options)


def delete(ifindex: int) -> bytes:
    """Return the message that takes netem away; packets that wait in it are lost."""
    return netlink.message(_RTM_DELQDISC, 0, _tcmsg(ifindex))


def installed(sock: socket) -> dict[int, InstalledNetem]:
    """Return the netem at the root of each interface that has one, by interface index."""
    request = netlink.message(_RTM_GETQDISC, netlink.NLM_F_DUMP, _tcmsg(0))
    return dict(_netems(netlink.dump(sock, request)))


def refused(error: OSError, interface: str) -> LabError:
    """Return what to tell the user when the kernel has refused ``add`` or ``replace``."""
    match error.errno:
        case errno.ENOENT:
            # Imported here: it is only needed where something is wrong.
            from labctl.kernel.modules import why_no_module

            why, fix = why_no_module("sch_netem", error)
            hint = f"{fix}; or impair without netem: --impairments wire"
            return machine_error(why, where=interface, hint=hint)
        case errno.EEXIST:
            return machine_error(
                "the interface has a queueing discipline already",
                where=interface,
                hint=f"look at it with `tc qdisc show dev {interface}`",
            )
        case _:
            return machine_error(f"the kernel refuses netem: {error.strerror}", where=interface)


def _put(ifindex: int, flags: int, options: bytes) -> bytes:
    body = (
        _tcmsg(ifindex)
        + netlink.attribute(_TCA_KIND, b"netem\0")
        + netlink.attribute(_TCA_OPTIONS, options)
    )
    return netlink.message(_RTM_NEWQDISC, flags, body)


def _tcmsg(ifindex: int) -> bytes:
    return pack(_TCMSG, AF_UNSPEC, ifindex, 0, _TC_H_ROOT, 0)


def _netems(answers: list[tuple[int, bytes]]) -> Iterator[tuple[int, InstalledNetem]]:
    for _, body in answers:
        _, ifindex, _, parent, _ = unpack_from(_TCMSG, body)
        found = dict(netlink.attributes(body, _TCMSG_BYTES))
        if parent == _TC_H_ROOT and found.get(_TCA_KIND) == b"netem\0":
            impairment = netem.decode(found[_TCA_OPTIONS])
            yield ifindex, InstalledNetem(impairment, _statistics(found[_TCA_STATS2]))


def _statistics(nested: bytes) -> Statistics:
    found = dict(netlink.attributes(nested, 0))
    sent_bytes, sent_packets = unpack_from("QI", found[_TCA_STATS_BASIC])
    if _TCA_STATS_PKT64 in found:
        # Sent where the 32 bits of the first one do not hold it any more.
        (sent_packets,) = unpack_from("Q", found[_TCA_STATS_PKT64])
    waiting, waiting_bytes, dropped, _, overlimits = unpack_from("5I", found[_TCA_STATS_QUEUE])
    return Statistics(sent_packets, sent_bytes, dropped, overlimits, waiting, waiting_bytes)
