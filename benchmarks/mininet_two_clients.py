"""The network of labs/two_clients.yaml by Mininet; run by the Python that Mininet is installed for.

Prints "up" when the network is there, and takes it down when its standard input ends.
"""

import sys

from mininet.net import Mininet
from mininet.node import Node


class LinuxRouter(Node):
    """A host that forwards, as Mininet's own example has it."""

    def config(self, **params: object) -> None:
        """Switch forwarding on."""
        super().config(**params)
        self.cmd("sysctl net.ipv4.ip_forward=1")


def main() -> None:
    """Build, wait, take down."""
    # Mininet would raise limits of the whole machine, and leave them so; three hosts do not need it.
    Mininet.inited = True
    net = Mininet(controller=None)
    server = net.addHost("server", cls=LinuxRouter, ip="10.0.1.1/24")
    for number in (1, 2):
        client = net.addHost(
            f"client{number}",
            ip=f"10.0.{number}.2/24",
            defaultRoute=f"via 10.0.{number}.1",
        )
        net.addLink(
            client,
            server,
            intfName1=f"veth_c{number}",
            intfName2=f"veth_srv_c{number}",
            params2={"ip": f"10.0.{number}.1/24"},
        )
    try:
        net.start()
        print("up", flush=True)
        sys.stdin.read()
    finally:
        net.stop()


if __name__ == "__main__":
    main()
