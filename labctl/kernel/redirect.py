"""The wire's kernel half: frames that arrive at one hidden interface leave by another.

The far ends of a link's veths lie in the lab's hidden namespace. A filter on the ingress of each
passes every frame on: to the other far end while the link is clean, to the emulator's interface
while it is impaired. Replacing the filter is one message, and takes effect between two frames:
the same handle is used again, so there is never a moment without a filter (tc-u32(8),
tc-mirred(8); include/uapi/linux/{pkt_cls,pkt_sched}.h, tc_act/tc_mirred.h).
"""

from struct import pack

from labctl.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    attribute,
    message,
)

_RTM_NEWQDISC, _RTM_NEWTFILTER = 36, 44
_TC_H_ROOT = 0xFFFF_FFFF
_TC_H_CLSACT = 0xFFFF_FFF1
_TC_H_INGRESS_QDISC = 0xFFFF_0000
_TC_H_MIN_INGRESS = 0xFFFF_FFF2
_TCA_KIND, _TCA_OPTIONS = 1, 2
_ETH_P_ALL = 3
_PREFERENCE = 1
_HANDLE = 0x8000_0001
"""``800::1`` of tc-u32(8): the first key of the root hash table."""

_TCA_U32_SEL, _TCA_U32_ACT = 5, 7
_TC_U32_TERMINAL = 1
_TCA_ACT_KIND, _TCA_ACT_OPTIONS = 1, 2
_TCA_MIRRED_PARMS = 2
_TCA_EGRESS_REDIR = 1
_TC_ACT_STOLEN = 4
_NESTED = 0x8000


def add_ingress(ifindex: int) -> bytes:
    """Return the message that lets an interface have filters on what arrives at it."""
    body = pack("BxxxiIII", 0, ifindex, _TC_H_INGRESS_QDISC, _TC_H_CLSACT, 0) + attribute(
        _TCA_KIND, b"clsact\0"
    )
    return message(_RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def add_netem(ifindex: int) -> bytes:
    """Return the message that puts a netem without any impairment on an interface."""
    body = (
        pack("BxxxiIII", 0, ifindex, 0, _TC_H_ROOT, 0)
        + attribute(_TCA_KIND, b"netem\0")
        + attribute(_TCA_OPTIONS, pack("6I", 0, 0, 1000, 0, 0, 0))
    )
    return message(_RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body)


def redirect(ifindex: int, to_ifindex: int) -> bytes:
    """Return the message that sends every frame arriving at one interface out by another.

    Where the filter is there already it gets the new destination, atomically.
    """
    parameters = pack("IIiiiiI", 0, 0, _TC_ACT_STOLEN, 0, 0, _TCA_EGRESS_REDIR, to_ifindex)
    action = attribute(_TCA_ACT_KIND, b"mirred\0") + attribute(
        _TCA_ACT_OPTIONS | _NESTED, attribute(_TCA_MIRRED_PARMS, parameters)
    )
    # No key at all. `match u32 0 0`, as tc(8) has it, looks at four bytes and then ignores them: it
    # does not match a frame with fewer behind its Ethernet header.
    selector = pack("BBBBHHhhI", _TC_U32_TERMINAL, 0, 0, 0, 0, 0, 0, 0, 0)
    options = attribute(_TCA_U32_SEL, selector) + attribute(
        _TCA_U32_ACT | _NESTED, attribute(1 | _NESTED, action)
    )
    network_order = int.from_bytes(_ETH_P_ALL.to_bytes(2, "little"), "big")
    body = (
        pack(
            "BxxxiIII",
            0,
            ifindex,
            _HANDLE,
            _TC_H_MIN_INGRESS,
            _PREFERENCE << 16 | network_order,
        )
        + attribute(_TCA_KIND, b"u32\0")
        + attribute(_TCA_OPTIONS | _NESTED, options)
    )
    return message(_RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, body)
