#!/usr/bin/env python3
"""Tell what has gone through a network interface since it was asked about before.

The task is in README.md.

usage: ifstat [FILE]        (/proc/net/dev)
"""

import sys


def counters(name, file_name):
    """Return received bytes and packets, and sent bytes and packets, since the interface was made."""
    with open(file_name) as file:
        for line in file:
            if line.strip().startswith(name):
                numbers = [int(word) for word in line.partition(":")[2].split()]
                return numbers[0], numbers[1], numbers[8], numbers[9]
    return None


def main():
    if len(sys.argv) > 2:
        print("usage: ifstat [FILE]", file=sys.stderr)
        sys.exit(2)
    file_name = sys.argv[1] if len(sys.argv) > 1 else "/proc/net/dev"
    for line in sys.stdin:
        name = line.strip()
        found = counters(name, file_name)
        if found is None:
            print(f"{name} none", flush=True)
            continue
        # TODO: the differences to the look before, the time between them, and the rates
        rx_bytes, rx_packets, tx_bytes, tx_packets = found
        print(
            f"{name} ns=1000000000"
            f" rx_bytes={rx_bytes} rx_packets={rx_packets} rx_bps={8 * rx_bytes}"
            f" tx_bytes={tx_bytes} tx_packets={tx_packets} tx_bps={8 * tx_bytes}",
            flush=True,
        )


if __name__ == "__main__":
    main()
