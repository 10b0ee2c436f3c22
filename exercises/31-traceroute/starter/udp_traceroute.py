#!/usr/bin/env python3
"""Find the routers on the way to a host. The task is in README.md.

usage: udp_traceroute [-m HOPS] [-W MS] ADDRESS
"""

import getopt
import socket
import sys


def main() -> None:
    try:
        given, (address,) = getopt.gnu_getopt(sys.argv[1:], "m:W:")
    except (getopt.GetoptError, ValueError):
        print("usage: udp_traceroute [-m HOPS] [-W MS] ADDRESS", file=sys.stderr)
        sys.exit(2)
    chosen = {"-m": "30", "-W": "3000"} | dict(given)
    # TODO: IPv6, for an IPv6 address.
    probes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # TODO: a raw socket that hears the ICMP errors, opened before the first probe is sent.
    for ttl in range(1, int(chosen["-m"]) + 1):
        probes.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        # TODO: three probes, each to a port of its own; wait for the error that quotes it.
        probes.sendto(b"probe", (address, 33435))
        print(ttl, "*")


if __name__ == "__main__":
    main()
