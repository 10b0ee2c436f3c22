"""Lab files as text, and what is said about them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from labctl.errors import LabError, LabErrors
from labctl.topology.load import parse_topology
from labctl.topology.model import Topology

LABS = Path(__file__).parents[2] / "labs"


def topology_of(text: str, parameters: Mapping[str, str] | None = None) -> Topology:
    """Return the lab that the text describes; a template if there are parameters."""
    path = "lab.yaml" if parameters is None else "lab.yaml.j2"
    return parse_topology(text.encode(), path, parameters or {})


def errors_of(text: str, parameters: Mapping[str, str] | None = None) -> list[LabError]:
    """Return what is wrong with the text."""
    try:
        topology_of(text, parameters)
    except LabErrors as errors:
        return errors.problems
    except LabError as error:
        return [error]
    pytest.fail("nothing was found wrong")


def problems_of(text: str, parameters: Mapping[str, str] | None = None) -> list[str]:
    """Return what is wrong with the text, each as it is printed."""
    return [str(error) for error in errors_of(text, parameters)]


def only_error(text: str, parameters: Mapping[str, str] | None = None) -> LabError:
    """Return the one thing that is wrong with the text."""
    [error] = errors_of(text, parameters)
    return error


def two_hosts(link: str = "", client: str = "", server: str = "", more: str = "") -> str:
    """Return a lab of two hosts; its link is in line 5, the client in 3, the server in 4."""
    return (
        "name: lab\n"
        "nodes:\n"
        f"  client: {{{client}}}\n"
        f"  server: {{{server}}}\n"
        f"links: [{{endpoints: [client, server], {link}}}]\n"
        f"{more}"
    )


def two_wires(first: str, second: str, client: str = "") -> str:
    """Return client - server - printer; the links are in lines 4 and 5, the client in 2."""
    return (
        "name: lab\n"
        f"nodes: {{client: {{{client}}}, server: {{}}, printer: {{}}}}\n"
        "links:\n"
        f"  - {{endpoints: [client, server], {first}}}\n"
        f"  - {{endpoints: [server, printer], {second}}}\n"
    )


def switched(*links: str, client: str = "") -> str:
    """Return a switch with a host a, b, ... for each link; the first link is in line 4."""
    names = "abcdefgh"[: len(links)]
    nodes = ", ".join(f"{name}: {{{client if name == 'a' else ''}}}" for name in names)
    lines = (
        f"  - {{endpoints: [{name}, switch], {link}}}\n"
        for name, link in zip(names, links, strict=True)
    )
    return f"name: lab\nnodes: {{switch: {{kind: bridge}}, {nodes}}}\nlinks:\n" + "".join(lines)


def addresses(topology: Topology) -> list[tuple[str, str]]:
    """Return (node, address) of every end of every link."""
    return [
        (end.node, address)
        for link in topology.links
        for end in (link.left, link.right)
        for address in end.addresses
    ]
