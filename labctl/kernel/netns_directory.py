"""/run/netns and /etc/netns, where the names of a lab in root mode go."""

import errno
import os

from labctl.kernel.apply import NETNS_DIRECTORY
from labctl.kernel.namespaces import MS_BIND, MS_REC, MS_SHARED, mount
from labctl.kernel.state import ETC_NETNS, LabState


def prepare_netns_directory() -> None:
    """Make /run/netns a mount that all mount namespaces share, as ``ip netns add`` does at first.

    Otherwise a later ``ip netns add`` would bind the directory over itself with our names in it,
    and each name would be mounted twice. Like there, the mount stays.
    """
    os.makedirs(NETNS_DIRECTORY, 0o755, exist_ok=True)
    try:
        mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount(NETNS_DIRECTORY, NETNS_DIRECTORY, "none", MS_BIND | MS_REC)
        mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC)


def link_etc_netns(state: LabState, netns: str) -> None:
    """Let ``ip netns exec`` find the node's hosts file; somebody's own folder there wins."""
    try:
        try:
            os.symlink(state.file(f"etc/{netns}"), f"{ETC_NETNS}/{netns}")
        except FileNotFoundError:
            os.mkdir(ETC_NETNS, 0o755)
            os.symlink(state.file(f"etc/{netns}"), f"{ETC_NETNS}/{netns}")
    except OSError:
        pass  # read-only /etc, or a folder of the administrator's own
