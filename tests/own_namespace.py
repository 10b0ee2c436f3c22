"""Python code in a user and network namespace of its own, for whatever no lab is needed for."""

import os
import subprocess
import sys

from tests.checkers import CHECKOUT

COMMAND = ("unshare", "--user", "--map-root-user", "--net")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

TWO_PAIRS = """
import os, socket, subprocess
open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w").write("1")
for pair in ("in", "out"):
    words = f"link add {pair}a mtu 9500 type veth peer name {pair}b mtu 9500"
    subprocess.run(["ip", *words.split()], check=True)
    for end in ("a", "b"):
        subprocess.run(["ip", "link", "set", pair + end, "up", "arp", "off"], check=True)

def tap(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((interface, 3))
    sock.settimeout(10)
    return sock

def frame(number, size=60):
    return bytes(12) + b"\\x88\\xb5" + number.to_bytes(4) + bytes(size - 18)
"""
"""Makes the veth pairs ina–inb and outa–outb, on which nothing moves but what a test sends."""


def run_in_namespace(code: str) -> str:
    """Run the code to its end, and return what it prints."""
    done = subprocess.run(
        [*COMMAND, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
