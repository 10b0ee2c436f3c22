"""What the kernel shows of a set of namespaces; run as a program, where ``ip netns`` sees them.

usage: kernel_view.py NETNS… > view.json

Of what differs from one boot of the same network to the next (interface numbers, MAC addresses
that nobody asked for, states that settle within a second) nothing is in the view.
"""

import json
import re
import subprocess
import sys
import time

_VOLATILE = ("ifindex", "link_index", "link_netnsid", "operstate", "flags", "group", "txqlen")
_VOLATILE_SYSCTLS = re.compile(
    r"^(net\.netfilter\.|net\.ipv4\.tcp_fastopen_key|net\.ipv6\.conf\.\S+\.stable_secret"
    r"|net\.ipv\d\.neigh\.\S+\.base_reachable|net\.unix|net\.core)"
)


def ask(netns: str, *words: str) -> str:
    """Return what a command prints in a namespace."""
    command = ["ip", "netns", "exec", netns, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def interfaces(netns: str) -> list[dict[str, object]]:
    """Return its interfaces with kind, MTU, bridge, addresses, and MAC if it is a chosen one."""
    shown = []
    for link in json.loads(ask(netns, "ip", "-json", "-details", "address")):
        kept = {key: value for key, value in link.items() if key not in _VOLATILE}
        kept["is_up"] = "UP" in link["flags"]
        if not str(link.get("address", "")).startswith("02:00:00:"):
            del kept["address"]
        info = link.get("linkinfo", {})
        kept["linkinfo"] = {
            "kind": info.get("info_kind"),
            "forward_delay": info.get("info_data", {}).get("forward_delay"),
            "mcast_snooping": info.get("info_data", {}).get("mcast_snooping"),
            "port": info.get("info_slave_kind"),
        }
        kept["addr_info"] = [
            address for address in link["addr_info"] if not address["local"].startswith("fe80:")
        ]
        shown.append({key: kept[key] for key in sorted(kept)})
    return sorted(shown, key=lambda link: str(link["ifname"]))


def routes(netns: str) -> list[str]:
    """Return its routes of both families, the local table's too."""
    found = []
    for family in ("-4", "-6"):
        text = ask(netns, "ip", "-json", family, "route", "show", "table", "all")
        for route in json.loads(text or "[]"):
            # These come with the carrier, which a worker of the kernel's notices in its own time.
            if "fe80" in json.dumps(route) or route.get("type") == "multicast":
                continue
            route.pop("flags", None)
            found.append(json.dumps(route, sort_keys=True))
    return sorted(found)


def qdiscs(netns: str) -> list[tuple[str, str, str]]:
    """Return interface, qdisc and options, once no interface waits for its carrier any more."""
    deadline = time.monotonic() + 30
    while True:
        shown = json.loads(ask(netns, "tc", "-json", "qdisc", "show"))
        found = sorted((each["dev"], each["kind"], _options(each)) for each in shown)
        if not any(kind == "noop" for _, kind, _ in found) or time.monotonic() > deadline:
            return found


def _options(qdisc: dict[str, dict[str, object]]) -> str:
    # Nobody asked for the seed: the kernel has thrown dice.
    options = {key: value for key, value in qdisc.get("options", {}).items() if key != "seed"}
    return json.dumps(options, sort_keys=True)


def sysctls(netns: str) -> list[str]:
    """Return every network setting."""
    lines = ask(netns, "sysctl", "-a", "--pattern", r"^net\.").splitlines()
    return sorted(line for line in lines if not _VOLATILE_SYSCTLS.match(line))


def view(netns: str) -> dict[str, object]:
    """Return all that two ways of building the same namespace must agree on."""
    return {
        "interfaces": interfaces(netns),
        "routes": routes(netns),
        "qdiscs": qdiscs(netns),
        "sysctls": sysctls(netns),
        "hosts": ask(netns, "cat", "/etc/hosts"),
    }


if __name__ == "__main__":
    json.dump({netns: view(netns) for netns in sys.argv[1:]}, sys.stdout)
