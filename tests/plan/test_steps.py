"""Each step names the command that a person would type."""

import shlex

import pytest

from labctl.plan.steps import (
    AddRoute,
    AssignAddress,
    AttachToBridge,
    BringUp,
    CreateBridge,
    CreateLink,
    CreateNamespace,
    Impair,
    ImpairOnWire,
    LinkEnd,
    SetSysctl,
    StartProgram,
    Step,
    WriteHosts,
    quote,
)
from labctl.topology.rules import Rule


@pytest.mark.parametrize(
    ("step", "command"),
    [
        (
            Impair("ns_a", "eth0", 2, "delay 20ms loss 1%"),
            "tc -n ns_a qdisc add dev eth0 root netem delay 20ms loss 1%",
        ),
        (
            ImpairOnWire(0, True, "a:eth0->b:eth0", "loss 1%", (Rule("drop", "udp"),), 7),
            '# labctl\'s emulator, a:eth0->b:eth0: loss 1%\n#   rule 1: drop: {match: "udp"}',
        ),
        (CreateNamespace("a", "ns_a"), "ip netns add ns_a && ip -n ns_a link set lo up"),
        (
            SetSysctl("ns_a", "net.ipv4.tcp_rmem", "4096 8192 9000"),
            "ip netns exec ns_a sysctl -qw 'net.ipv4.tcp_rmem=4096 8192 9000'",
        ),
        (
            CreateBridge("ns_s", "br0", 2),
            "ip -n ns_s link add br0 up type bridge forward_delay 0 mcast_snooping 0",
        ),
        (
            CreateLink(LinkEnd("ns_a", "e", 2), LinkEnd("ns_b", "f", 2)),
            "ip -n ns_a link add e type veth peer name f netns ns_b",
        ),
        (
            CreateLink(
                LinkEnd("ns_a", "e", 2, "02:00:00:00:00:01", 9000),
                LinkEnd("ns_b", "f", 2, mtu=9000),
            ),
            "ip -n ns_a link add e mtu 9000 address 02:00:00:00:00:01 type veth "
            "peer name f mtu 9000 netns ns_b",
        ),
        (AttachToBridge("ns_s", "p", 3, "br0", 2), "ip -n ns_s link set p master br0"),
        (
            AssignAddress("ns_a", "e", 2, "10.0.0.1/24"),
            "ip -n ns_a address add 10.0.0.1/24 brd + dev e",
        ),
        (
            AssignAddress("ns_a", "e", 2, "fd00::1/64"),
            "ip -n ns_a address add fd00::1/64 nodad dev e",
        ),
        (BringUp("ns_a", "e", 2), "ip -n ns_a link set e up"),
        (AddRoute("ns_a", "default", "10.0.0.9"), "ip -n ns_a route add default via 10.0.0.9"),
        (AddRoute("ns_a", "fd09::/64", "fd00::9"), "ip -n ns_a -6 route add fd09::/64 via fd00::9"),
        (
            WriteHosts("ns_a", "127.0.0.1 localhost\n"),
            "mkdir -p /etc/netns/ns_a && cat >/etc/netns/ns_a/hosts <<'END'\n"
            "127.0.0.1 localhost\nEND",
        ),
        (
            StartProgram("a", "ns_a", "s", ("serve", "two words"), "log READY", 5.0),
            "ip netns exec ns_a serve 'two words' &  # ready: log READY",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, tuple) else "",
)
def test_the_command_of_a_step(step: Step, command: str) -> None:
    assert step.command() == command


@pytest.mark.parametrize("word", ["plain-1.2", "two words", "it's", "$HOME", "a;b", "", "é", "*"])
def test_a_quoted_word_reaches_the_program_unchanged(word: str) -> None:
    assert shlex.split(quote(word)) == [word]
