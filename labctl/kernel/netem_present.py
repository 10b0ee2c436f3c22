"""Whether the kernel has netem; asked at every ``labctl up``, so it imports next to nothing."""

import os

from labctl.kernel import netlink
from labctl.kernel.interrupts import uninterrupted
from labctl.kernel.namespaces import CLONE_NEWNET, CLONE_NEWUSER, unshare
from labctl.kernel.redirect import add_netem


def has_netem() -> bool:
    """Return whether a qdisc of kind netem can be had, loading its module if need be.

    Tried in a child with a network of its own, unless the module is seen to be loaded already.
    """
    if os.path.isdir("/sys/module/sch_netem"):
        return True
    with uninterrupted():  # the child for good: it has a moment's work
        child = os.fork()
        if child == 0:
            try:
                unshare(CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER)
                batch = netlink.Batch(netlink.open_socket())
                batch.add(add_netem(netlink.LOOPBACK_INDEX), 1)
                batch.flush()
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
    return status == 0
