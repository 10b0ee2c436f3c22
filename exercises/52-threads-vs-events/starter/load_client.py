#!/usr/bin/env python3
"""Load a server with more and more clients. The task is in README.md.

usage: load_client ADDRESS PORT [-s SERVER] [-c CLIENTS,…] [-n N]
"""

import argparse
import socket
import time


def main():
    parser = argparse.ArgumentParser(prog="load_client")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("-s", default="server")
    parser.add_argument("-c", default="1,10,50")
    parser.add_argument("-n", type=int, default=20)
    options = parser.parse_args()
    print("server", "clients", "requests", "ns", "requests_per_s", "p50_ns", "max_ns", sep="\t")
    for count in map(int, options.c.split(",")):
        started_ns = time.monotonic_ns()
        # TODO: this is one client after the other. All of them, at the same time.
        for name in range(count):
            with socket.create_connection((options.address, options.port)) as connection:
                for number in range(options.n):
                    connection.sendall(b"%d %d\n" % (name, number))
                    # TODO: is it the answer, and all of it? How long did it take?
                    connection.recv(4096)
        ns = time.monotonic_ns() - started_ns
        total = count * options.n
        print(options.s, count, total, ns, total * 10**9 // ns, 0, 0, sep="\t", flush=True)


if __name__ == "__main__":
    main()
