"""The script that `labctl explain` prints and what `labctl up` does: the kernel shows the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.owners import unique_name

HERE = Path(__file__).parent
LABS = HERE.parent.parent / "labs"
VIEW = str(HERE / "kernel_view.py")

pytestmark = pytest.mark.kernel

# The script names namespaces and hosts files as root does; here the whole of /run and /etc/netns
# is the test's own, so that it can run beside labs and without root.
_SCRATCH = """
set -e
mount -t tmpfs run /run
mkdir -p /run/netns /run/upper /run/work
mount -t overlay etc /etc -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work,userxattr
mkdir -p /etc/netns
mount -t tmpfs netns /etc/netns
sh -e "$1" >&2
shift
exec "$@"
"""


def labctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run labctl and return what came of it."""
    return subprocess.run(
        [sys.executable, "-m", "labctl", *words], capture_output=True, text=True, check=False
    )


def view_of_script(script: Path, namespaces: list[str]) -> dict[str, object]:
    """Run an explained script in a scratch place and return what the kernel shows there."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", _SCRATCH]
    words = [*command, "scratch", str(script), sys.executable, VIEW, *namespaces]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, object] = json.loads(done.stdout)
    return parsed


def view_of_lab(name: str, namespaces: list[str]) -> dict[str, object]:
    """Return what the kernel shows of a running rootless lab."""
    words = [sys.executable, "-m", "labctl", "shell", "-l", name]
    command = " ".join([sys.executable, VIEW, *namespaces])
    done = subprocess.run(
        words,
        input=f"exec {command}\n",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SHELL": "/bin/sh"},
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, object] = json.loads(done.stdout)
    return parsed


@pytest.mark.parametrize(
    ("lab", "parameters"),
    [
        (LABS / "two_clients.yaml", ()),
        (LABS / "pair.yaml", ()),
        (LABS / "lan.yaml", ()),
        (LABS / "dual_stack.yaml", ()),
        (LABS / "star.yaml.j2", ("-p", "clients=4")),
        (LABS / "router_chain.yaml.j2", ("-p", "routers=2")),
        (LABS / "dumbbell.yaml.j2", ()),
        (LABS / "lossy.yaml", ()),
        (HERE / "everything.yaml", ()),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_explained_script_builds_what_up_builds(
    lab: Path, parameters: tuple[str, ...], tmp_path: Path
) -> None:
    _agree(lab, parameters, tmp_path)


@pytest.mark.netem
@pytest.mark.parametrize(
    ("lab", "parameters", "interface", "netem"),
    [
        (
            "lossy.yaml",
            (),
            ("client", "eth0"),
            '"loss-random": {"correlation": 0, "loss": 0.05}',
        ),
        (
            "dumbbell.yaml.j2",
            ("-p", "rate=10mbit"),
            ("left_router", "middle"),
            '"rate": {',
        ),
    ],
)
def test_the_explained_script_makes_links_as_bad_as_up_does(
    lab: str, parameters: tuple[str, ...], interface: tuple[str, str], netem: str, tmp_path: Path
) -> None:
    views = _agree(LABS / lab, parameters, tmp_path)

    node, name = interface
    [view] = [view for netns, view in views.items() if netns.endswith(f"-{node}")]
    assert isinstance(view, dict)
    [options] = [
        options for where, kind, options in view["qdiscs"] if (where, kind) == (name, "netem")
    ]
    assert netem in options


def _agree(lab: Path, parameters: tuple[str, ...], tmp_path: Path) -> dict[str, object]:
    """Build the lab both ways, and return what the kernel shows of both."""
    name = unique_name()
    explained = labctl("explain", str(lab), *parameters, "--name", name)
    assert explained.returncode == 0, explained.stderr
    script = tmp_path / "script.sh"
    script.write_text(explained.stdout)
    up = labctl("up", str(lab), *parameters, "--rootless", "--name", name)
    assert up.returncode == 0, up.stderr
    try:
        shown = json.loads(labctl("status", name, "--json").stdout)
        namespaces = [node["netns"] for node in shown["nodes"].values()]
        built = view_of_lab(name, namespaces)
    finally:
        assert labctl("down", name).returncode == 0
    typed = view_of_script(script, namespaces)
    assert list(built) == namespaces
    for netns in namespaces:
        assert built[netns] == typed[netns], netns
    return built


def test_status_reads_back_what_ip_shows(tmp_path: Path) -> None:
    name = unique_name()
    up = labctl("up", str(HERE / "everything.yaml"), "--rootless", "--name", name)
    assert up.returncode == 0, up.stderr
    try:
        status = json.loads(labctl("status", name, "--json").stdout)
        namespaces = [node["netns"] for node in status["nodes"].values()]
        shown = view_of_lab(name, namespaces)
    finally:
        assert labctl("down", name).returncode == 0
    for node in status["nodes"].values():
        by_ip = shown[node["netns"]]
        assert isinstance(by_ip, dict)
        assert {
            (
                link["name"],
                link["mtu"],
                link["is_up"],
                link["master"],
                tuple(
                    sorted(
                        address for address in link["addresses"] if not address.startswith("fe80:")
                    )
                ),
            )
            for link in node["interfaces"]
        } == {
            (
                link["ifname"],
                link["mtu"],
                link["is_up"],
                link.get("master", ""),
                tuple(
                    sorted(
                        f"{address['local']}/{address['prefixlen']}"
                        for address in link["addr_info"]
                    )
                ),
            )
            for link in by_ip["interfaces"]
        }
        gateways = {route["via"] for route in node["routes"] if route["to"] == "default"}
        defaults = [json.loads(route) for route in by_ip["routes"] if '"dst": "default"' in route]
        assert gateways == {route["gateway"] for route in defaults}
