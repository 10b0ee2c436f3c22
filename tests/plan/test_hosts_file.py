"""hosts_files: each node's names."""

from labctl.plan.hosts_file import hosts_files
from tests.plan.labs import lan, two_clients


def first_address(text: str, name: str) -> str:
    """Return what gethostbyname(3) finds."""
    for line in text.splitlines():
        address, _, names = line.partition("\t")
        if name in names.split():
            return address
    raise KeyError(name)


def test_every_node_finds_every_node() -> None:
    for _, text in hosts_files(two_clients()):
        assert {first_address(text, name) for name in ("client1", "client2")} == {
            "10.0.1.2",
            "10.0.2.2",
        }


def test_a_name_with_several_addresses_gives_the_near_one_first() -> None:
    files = dict(hosts_files(two_clients()))
    assert first_address(files["client1"], "server") == "10.0.1.1"
    assert first_address(files["client2"], "server") == "10.0.2.1"


def test_localhost_stays_local() -> None:
    for _, text in hosts_files(lan()):
        assert first_address(text, "localhost") == "127.0.0.1"


def test_ipv6_addresses_are_names_too() -> None:
    files = dict(hosts_files(lan()))
    assert "fd00::1\ta" in files["b"].splitlines()
