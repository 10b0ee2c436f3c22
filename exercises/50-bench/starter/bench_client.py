#!/usr/bin/env python3
"""Measure a network. The task is in README.md.

usage: bench_client ADDRESS PORT [-u | -l] [-n N] [-s SIZE]
"""

import argparse
import json
import socket
import time


def main():
    parser = argparse.ArgumentParser(prog="bench_client")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("-u", action="store_true")
    parser.add_argument("-l", action="store_true")
    parser.add_argument("-n", type=int)
    parser.add_argument("-s", type=int, default=1000)
    options = parser.parse_args()
    # TODO: -u and -l
    size = options.n or 1_000_000
    with socket.create_connection((options.address, options.port)) as connection:
        connection.sendall(b"SINK\n")
        started_ns = time.monotonic_ns()
        connection.sendall(bytes(size))
        # TODO: what does the server say?
        ns = time.monotonic_ns() - started_ns
    print(json.dumps({"sent": size, "received": size, "ns": ns, "bps": 8 * size * 10**9 // ns}))


if __name__ == "__main__":
    main()
