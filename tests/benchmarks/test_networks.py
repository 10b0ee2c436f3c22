"""Every comparator builds the same network: what is compared is how, not what."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contenders import HERE, Mininet, Unavailable, compile_network

pytestmark = pytest.mark.kernel


def in_scratch(commands: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands where /run/netns is private, as root or not."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    kinds = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
    argv = ["unshare", *user, *kinds, "sh", str(HERE / "scratch.sh"), "sh", "-c", commands]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def built(command: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    """Return what the kernel shows of each namespace between ``up`` and ``down``."""
    program = " ".join(command)
    words = " ".join(arguments)
    done = in_scratch(
        f"""
        set -e
        {program} up {words} >/dev/null
        for netns in $(ls /run/netns); do
            echo "$netns"
            ip -n "$netns" -json address show
            ip -n "$netns" -json route show
            ip netns exec "$netns" sysctl -n net.ipv4.ip_forward
        done
        {program} down {words} >/dev/null
        ls /run/netns
        """
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert lines.pop() == ""
    assert len(lines) % 4 == 0, f"left behind by down: {lines}"
    return {
        netns: {
            "interfaces": [_interface(facts) for facts in json.loads(addresses)],
            "routes": _routes(routes),
            "forwards": forwards,
        }
        for netns, addresses, routes, forwards in zip(
            lines[::4], lines[1::4], lines[2::4], lines[3::4], strict=True
        )
    }


def _interface(facts: dict[str, Any]) -> dict[str, Any]:
    # Link-local addresses are what an interface's random MAC makes them, and the C program
    # leaves IPv6 off as labctl does. The state of a link settles a moment after its birth.
    return {
        "name": facts["ifname"],
        "index": facts["ifindex"],
        "mtu": facts["mtu"],
        "up": "UP" in facts["flags"],
        "addresses": [address for address in facts["addr_info"] if address["family"] == "inet"],
    }


def _addresses(interfaces: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [
        (interface["name"], address["local"], address["prefixlen"])
        for interface in interfaces
        for address in interface["addresses"]
        if interface["up"]
    ]


def _routes(shown: str) -> list[dict[str, Any]]:
    # "linkdown" is a flag, too, and goes a moment after the link is up.
    return [
        {name: value for name, value in route.items() if name != "flags"}
        for route in json.loads(shown)
    ]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_network(tmp_path_factory.mktemp("network"))


def script(name: str) -> list[str]:
    return ["sh", str(HERE / name)]


def test_the_c_program_builds_the_star_of_the_script(network: Path) -> None:
    expected = built(script("star.sh"), ["3"])
    assert list(expected) == ["ns_client1", "ns_client2", "ns_client3", "ns_server"]
    assert expected["ns_client3"]["interfaces"][1]["addresses"][0]["local"] == "10.0.3.2"
    assert built([str(network)], ["star", "3"]) == expected


def test_ip_batch_builds_the_star_of_the_script() -> None:
    assert built(script("star_batch.sh"), ["3"]) == built(script("star.sh"), ["3"])


def test_the_c_program_builds_the_two_clients_of_the_script(network: Path) -> None:
    expected = built(script("two_clients.sh"), [])
    assert expected["ns_server"]["forwards"] == "1"
    assert built([str(network)], ["two_clients"]) == expected


@pytest.mark.parametrize(
    ("name", "arguments"), [("two_clients.sh", ["two_clients"]), ("star.sh", ["star", "3"])]
)
def test_wired_links_in_c_change_nothing_for_the_nodes(
    network: Path, name: str, arguments: list[str]
) -> None:
    expected = built(script(name), arguments[1:])

    wired = built([str(network)], [*arguments, "wired"])

    hidden = wired.pop("ns_wire")
    links = 2 * (len(expected) - 1)
    assert [end["mtu"] for end in hidden["interfaces"]] == [65536, *[65535] * links]
    assert wired == expected


def test_wired_links_in_c_pass_frames(network: Path) -> None:
    done = in_scratch(
        f"{network} up two_clients wired && ip netns exec ns_client1 ping -c 1 -W 5 10.0.2.2"
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_mininet_builds_the_addresses_routes_and_forwarding_of_the_script() -> None:
    try:
        python = Mininet().argv[0]
    except Unavailable:
        return  # optional here as in the benchmarks, and in CI a skipped kernel test is a failure
    # Its namespaces have no names: each is that of a shell, which has the node's name as argument.
    done = in_scratch(
        f"""
        set -e
        mkfifo /run/built /run/done
        {python} {HERE}/mininet_two_clients.py </run/done >/run/built &
        exec 9>/run/done
        read -r word </run/built
        for node in client1 client2 server; do
            shell="$(pgrep -f "mininet:$node") --net"
            nsenter --target $shell ip -json address show
            nsenter --target $shell ip -json route show
            nsenter --target $shell sysctl -n net.ipv4.ip_forward
        done
        exec 9>&-
        wait
        """
    )
    assert done.returncode == 0, done.stderr
    expected = built(script("two_clients.sh"), [])
    lines = done.stdout.splitlines()
    for number, node in enumerate(expected.values()):
        addresses, routes, forwards = lines[3 * number : 3 * number + 3]
        assert sorted(_addresses([_interface(facts) for facts in json.loads(addresses)])) == sorted(
            _addresses(node["interfaces"])
        )
        assert _routes(routes) == node["routes"]
        assert forwards == node["forwards"]


@pytest.mark.parametrize("contender", ["two_clients.sh", "star.sh", "star_batch.sh", "network"])
def test_a_name_that_is_taken_is_left_to_its_owner(contender: str, network: Path) -> None:
    command = {
        "two_clients.sh": f"sh {HERE}/two_clients.sh up",
        "star.sh": f"sh {HERE}/star.sh up 2",
        "star_batch.sh": f"sh {HERE}/star_batch.sh up 2",
        "network": f"{network} up two_clients",
    }[contender]
    done = in_scratch(f"ip netns add ns_client2 && {command}; echo $?; ls /run/netns")
    assert done.stdout == "1\nns_client2\n"
    assert "ns_client2" in done.stderr
