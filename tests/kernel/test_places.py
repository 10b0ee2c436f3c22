"""Places: namespaces by name, and sockets in them."""

import os
import subprocess
import sys

import pytest

from labctl.kernel.places import Places

_SCRIPT = """
import os, socket
from labctl.kernel import netlink
from labctl.kernel.namespaces import CLONE_NEWNET, unshare
from labctl.kernel.places import Places
places_home = os.stat("/proc/self/ns/net").st_ino
places = Places(None)
unshare(CLONE_NEWNET)
netlink.Batch(netlink.open_socket())
hidden = os.open("/proc/self/ns/net", os.O_RDONLY)
batch = netlink.Batch(netlink.open_socket())
batch.add(netlink.create_bridge("there", 5), 1)
batch.flush()
from labctl.kernel.namespaces import setns
setns(places._home, CLONE_NEWNET)
sock = Places(hidden).open_socket("", socket.AF_NETLINK, socket.SOCK_RAW, 0)
print([name for _, name in netlink.list_links(sock)])
print(os.stat("/proc/self/ns/net").st_ino == places_home)
"""


@pytest.mark.kernel
def test_a_socket_is_opened_there_and_the_process_stays_here() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout == "['lo', 'there']\nTrue\n", done.stderr


def test_a_lab_without_wired_links_has_no_hidden_namespace() -> None:
    with pytest.raises(FileNotFoundError, match="no wired links"):
        Places(None).file("")


def test_a_named_namespace_is_where_ip_netns_looks() -> None:
    assert Places(None).file("ns_client1") == "/run/netns/ns_client1"
