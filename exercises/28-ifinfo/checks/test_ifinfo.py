"""Checks of ifinfo. The contract is in README.md."""

import random

import interfaces
import pytest
from interfaces import Interface, change, printed_and_true, wait_for_carriers

from labctl.testing import (
    WITHIN_S,
    Lab,
    Submission,
    expect,
    expect_equal,
    machine_error,
    until,
)

LONG_NAME = "fifteen_letters"

LISTED = (
    "if_nameindex() and a netlink dump of links have every interface; SIOCGIFCONF has those with an "
    "IPv4 address only"
)
ADDRESSES = (
    "an interface has any number of addresses: getifaddrs(), or a netlink dump (RTM_GETADDR); "
    "SIOCGIFADDR tells the first IPv4 address and no other"
)
LINE = "NAME index=N mtu=N mac=… flags=…: MAC in lower case, flags in the order of the table"


def expect_links(pairs: list[tuple[Interface, Interface]], hint: str) -> None:
    for printed, true in pairs:
        expect_equal(printed.line, true.line, f"the line of {true.name}", hint)


def expect_addresses(pairs: list[tuple[Interface, Interface]], hint: str) -> None:
    for printed, true in pairs:
        expect_equal(
            "; ".join(printed.addresses),
            "; ".join(true.addresses),
            f"the addresses of {true.name}",
            hint,
        )


@pytest.mark.points(3)
@pytest.mark.parametrize("node", ["client1", "server"])
def test_the_interfaces_are_as_they_are(lab: Lab, submission: Submission, node: str) -> None:
    """every interface is listed, with its index, MTU, MAC address and flags"""
    wait_for_carriers(lab[node])
    pairs = printed_and_true(lab, submission, node, LISTED)
    expect_links(pairs, LINE)


@pytest.mark.needs("test_the_interfaces_are_as_they_are")
@pytest.mark.points(3)
def test_every_address_is_listed(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """every address is listed, IPv4 and IPv6, with its prefix length"""
    expect_addresses(printed_and_true(lab, submission, "server", ADDRESSES), ADDRESSES)

    second, third = rng.sample(range(3, 255), 2)  # 1 and 2 are there already
    length = rng.choice([9, 15, 23, 27, 31])
    # Another network, a second address of the same one, and another family.
    change(lab, "server", "address", "add", f"10.{second}.7.9/{length}", "dev", "veth_srv_c1")
    change(lab, "server", "address", "add", f"10.0.1.{third}/24", "dev", "veth_srv_c1")
    six = f"fd00:0:{second:x}::{third:x}/{rng.choice([49, 63, 127])}"
    change(lab, "server", "address", "add", six, "dev", "veth_srv_c2", "nodad")
    expect_addresses(printed_and_true(lab, submission, "server", ADDRESSES), ADDRESSES)


@pytest.mark.needs("test_every_address_is_listed")
@pytest.mark.points(1)
def test_a_peers_address_is_not_its_own(lab: Lab, submission: Submission) -> None:
    """on a link to one peer the address is its own, and not the peer's"""
    hint = (
        "IFA_LOCAL is its own, IFA_ADDRESS the peer's where there is one; ifa_addr, not ifa_dstaddr"
    )
    for words in (
        ("10.9.0.1", "peer", "10.9.0.2/32"),
        ("fd00:0:0:9::1", "peer", "fd00:0:0:9::2/128", "nodad"),
    ):
        change(lab, "client1", "address", "add", *words, "dev", "veth_c1")
    expect_addresses(printed_and_true(lab, submission, "client1", hint), hint)


@pytest.mark.needs("test_the_interfaces_are_as_they_are")
@pytest.mark.points(1)
def test_an_interface_that_is_down_is_listed(lab: Lab, submission: Submission) -> None:
    """an interface that is down and has no address is listed, with the longest name there can be"""
    wait_for_carriers(lab["client1"])
    change(lab, "client1", "link", "add", LONG_NAME, "type", "veth", "peer", "name", "x")
    pairs = printed_and_true(lab, submission, "client1", LISTED)
    expect_links(
        pairs, "flags of an interface that is down lack UP and RUNNING; a name has up to 15 bytes"
    )


@pytest.mark.needs("test_the_interfaces_are_as_they_are")
@pytest.mark.points(1)
def test_what_has_changed_is_told(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what is changed shows: MTU, MAC address, flags, and whether somebody is at the other end"""
    mac = ":".join(["02", *(f"{rng.randrange(256):02x}" for _ in range(5))])
    mtu = rng.randrange(1300, 1500)
    change(lab, "client1", "link", "set", "veth_c1", "mtu", str(mtu), "address", mac)
    for flag in (("promisc", "on"), ("allmulticast", "on"), ("arp", "off")):
        change(lab, "client1", "link", "set", "veth_c1", *flag)
    change(lab, "server", "link", "set", "veth_srv_c1", "down")
    if not until(lambda: "RUNNING" not in interfaces.flags(lab["client1"], "veth_c1"), WITHIN_S):
        raise machine_error("the interface goes on RUNNING without its peer", where="check")
    hint = (
        "ask the kernel each time; UP says that somebody has switched it on, RUNNING that it can "
        "carry packets; each flag of the table is printed where it is set"
    )
    expect_links(printed_and_true(lab, submission, "client1", hint), hint)


@pytest.mark.needs("test_the_interfaces_are_as_they_are")
@pytest.mark.points(1)
def test_one_can_be_named(lab: Lab, submission: Submission) -> None:
    """of an interface that is named its lines are shown alone, and one that is not there is an error"""
    hint = "with an argument print what belongs to that name, and nothing else"
    wait_for_carriers(lab["server"])
    expect_links(printed_and_true(lab, submission, "server", hint, "veth_srv_c2"), hint)

    # The beginning of two names, and more than fit into the kernel's 16 bytes.
    for name in ("veth_srv_c", "veth_srv_c2" + "x" * 40):
        ended = submission.run("server", "ifinfo", name)
        said = ended.stderr.decode(errors="backslashreplace").strip()
        expect(
            ended.exit_status == 1
            and not ended.stdout
            and said.startswith("error: ")
            and "ENODEV" in said,
            expected=f"of `ifinfo {name}`: error: …: ENODEV (…) on stderr, exit status 1",
            actual=f"exit status {ended.exit_status}; stderr: {said or 'nothing'}",
            hint="compare whole names; strncpy() cuts, and leaves no zero at the end",
        )


@pytest.mark.needs("test_one_can_be_named", "test_every_address_is_listed")
@pytest.mark.points(0.5)
def test_one_that_is_named_has_its_addresses(lab: Lab, submission: Submission) -> None:
    """an interface that is named is shown with its addresses"""
    hint = "after its line come those of its addresses, as in the list of all"
    expect_addresses(printed_and_true(lab, submission, "server", hint, "veth_srv_c2"), hint)
