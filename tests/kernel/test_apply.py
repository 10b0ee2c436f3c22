"""Builder: steps become a network, or an error that names the step."""

import errno
import json
import os
import subprocess
import sys

import pytest

from labctl.kernel.apply import StepFailed
from labctl.plan.steps import AddRoute, Impair, SetSysctl

_PRELUDE = """
import json, os, subprocess
from labctl.kernel.apply import Builder, NameTaken, StepFailed
from labctl.kernel.namespaces import mount
from labctl.plan.steps import *
mount("tmpfs", "/run", "tmpfs")
os.mkdir("/run/netns")
os.mkdir("/run/hosts")
claims = []
seen = []
builder = Builder("/run/hosts", claim=lambda *c: claims.append(c), progress=seen.append)
def ip(*words):
    return json.loads(subprocess.run(["ip", "-json", *words], capture_output=True, check=True).stdout)
"""


def build(code: str) -> object:
    """Run code with a builder in a scratch place; return the last line it prints, as JSON."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", sys.executable, "-c"]
    done = subprocess.run(
        [*command, _PRELUDE + code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.kernel
def test_a_name_is_claimed_with_its_inode_before_it_appears() -> None:
    claimed = build("""
def claim(netns, inode):
    claims.append((netns, inode, os.path.exists(f"/run/netns/{netns}")))
builder._claim = claim
builder.apply([CreateNamespace("a", "ns_a")])
print(json.dumps([*claims[0], os.stat("/run/netns/ns_a").st_ino]))
""")
    assert isinstance(claimed, list)
    name, inode, existed, real = claimed
    assert (name, existed) == ("ns_a", False)
    assert inode == real


@pytest.mark.kernel
def test_a_taken_name_is_left_to_its_owner() -> None:
    assert build("""
subprocess.run(["ip", "netns", "add", "ns_a"], check=True)
before = os.stat("/run/netns/ns_a").st_ino
try:
    builder.apply([CreateNamespace("a", "ns_a")])
except NameTaken as error:
    print(json.dumps([error.netns, os.stat("/run/netns/ns_a").st_ino == before]))
""") == ["ns_a", True]


@pytest.mark.kernel
def test_interfaces_are_numbered_after_those_that_every_namespace_has() -> None:
    # As where the modules sit or ipip are loaded: their devices are in each new namespace.
    assert build("""
from labctl.kernel import netlink
real = netlink.list_links
netlink.list_links = lambda sock: [*real(sock), (4, "sit0")]
end = lambda netns: LinkEnd(netns, "eth0", 2)
builder.apply([
    CreateNamespace("a", "ns_a"), CreateNamespace("b", "ns_b"),
    CreateLink(end("ns_a"), end("ns_b")),
    AssignAddress("ns_a", "eth0", 2, "10.0.0.1/24"), BringUp("ns_a", "eth0", 2),
    BringUp("ns_b", "eth0", 2),
])
links = ip("-n", "ns_a", "address", "show", "dev", "eth0")
print(json.dumps([links[0]["ifindex"], links[0]["addr_info"][0]["local"]]))
""") == [5, "10.0.0.1"]


@pytest.mark.kernel
def test_the_process_is_back_where_it_was_afterwards() -> None:
    assert build("""
before = os.stat("/proc/self/ns/net").st_ino
builder.apply([CreateNamespace("a", "ns_a"), SetSysctl("ns_a", "net.ipv4.ip_forward", "1")])
print(json.dumps([before == os.stat("/proc/self/ns/net").st_ino,
                  open("/proc/sys/net/ipv4/ip_forward").read()]))
""") == [True, "0\n"]


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ('AddRoute("ns_a", "default", "10.0.0.9")', "Nexthop has invalid gateway"),
        ('SetSysctl("ns_a", "net.ipv4.no_such_thing", "1")', "No such file or directory"),
        ('SetSysctl("ns_a", "net.ipv4.ip_forward", "many")', "Invalid argument"),
        ('AssignAddress("ns_a", "eth0", 9, "10.0.0.1/24")', "evice"),
    ],
)
def test_a_refused_step_is_reported_as_itself(step: str, problem: str) -> None:
    shown = build(f"""
try:
    builder.apply([CreateNamespace("a", "ns_a"), {step}, BringUp("ns_a", "lo", 1)])
except StepFailed as error:
    print(json.dumps([error.step == {step}, str(error.as_lab_error())]))
""")
    assert isinstance(shown, list)
    assert shown[0] is True
    assert problem in shown[1]


@pytest.mark.kernel
def test_long_work_reports_its_progress() -> None:
    assert build("""
steps = [CreateNamespace("a", "ns_a"), CreateBridge("ns_a", "br0", 2)]
steps += [AssignAddress("ns_a", "br0", 2, f"10.0.{n}.1/24") for n in range(254)]
steps += [AssignAddress("ns_a", "br0", 2, f"10.1.{n}.1/24") for n in range(255)]
steps += [BringUp("ns_a", "br0", 2)]
builder.apply(steps)
print(json.dumps(seen))
""") == [256, 512]


@pytest.mark.kernel
def test_hosts_files_are_written_where_they_are_wanted() -> None:
    assert (
        build("""
builder.apply([CreateNamespace("a", "ns_a"), WriteHosts("ns_a", "10.0.0.1 a\\n")])
print(json.dumps(open("/run/hosts/ns_a/hosts").read()))
""")
        == "10.0.0.1 a\n"
    )


def test_the_error_for_the_user_has_the_command_and_what_to_do() -> None:
    failed = StepFailed(
        AddRoute("ns_a", "default", "10.0.0.9"), OSError(1, "Operation not permitted")
    )
    error = failed.as_lab_error()
    assert str(error) == (
        "the kernel refused `ip -n ns_a route add default via 10.0.0.9`: Operation not permitted"
    )
    assert "labctl doctor" in error.hint
    assert error.exit_code == 3


def test_an_unknown_setting_says_where_to_look() -> None:
    error = StepFailed(SetSysctl("ns_a", "net.x", "1"), FileNotFoundError(2, "No such file"))
    assert "sysctl -a" in error.as_lab_error().hint


def test_a_kernel_without_netem_is_said_to_be_one() -> None:
    refused = StepFailed(Impair("ns_a", "eth0", 2, "loss 1%"), OSError(errno.ENOENT, "not found"))
    error = refused.as_lab_error()
    assert error.where == "eth0"
    assert "--impairments wire" in error.hint
    assert error.exit_code == 3


@pytest.mark.kernel
@pytest.mark.netem
def test_an_interface_is_bad_before_it_is_up() -> None:
    shown = build("""
bad = Impair("ns_a", "e", 2, "delay 20ms 5ms distribution normal loss 1%")
builder.apply([CreateNamespace("a", "ns_a"), CreateNamespace("b", "ns_b"),
    CreateLink(LinkEnd("ns_a", "e", 2), LinkEnd("ns_b", "e", 2)), bad])
[link] = ip("-n", "ns_a", "link", "show", "e")
words = ["tc", "-n", "ns_a", "qdisc", "show", "dev", "e"]
said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
print(json.dumps(["UP" in link["flags"], said]))
""")
    assert isinstance(shown, list)
    is_up, said = shown
    assert not is_up
    assert "netem" in said
    assert "delay 20ms  5ms loss 1%" in said
