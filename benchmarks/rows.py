"""The table: one function for each thing that is compared."""

from functools import partial
from typing import Literal

from benchmarks import grading_rows, netem_rows, wire_rows
from benchmarks.bench import Bench, Row
from benchmarks.contenders import CProgram, Labctl, Mininet, Script
from benchmarks.measure import Comparison

STAR_CLIENTS = "999"
"""With the server in the middle: a thousand namespaces."""

SMALL_STAR_CLIENTS = "99"

INTERPRETER = "interpreter start"

Links = Literal["none", "wire"]
"""What ``--impairments`` says: plain links as the others build them, or twice as many interfaces."""


def _network(links: Links, *words: str) -> tuple[str, ...]:
    """Return the arguments with which ``network.c`` builds a network of these links."""
    return (*words, "wired") if links == "wire" else words


def up_against_script(bench: Bench, links: Links) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl up",
        {"script of ip commands": 1},
        3,
        {
            "labctl up": lambda: labctl.up("two_clients", "--impairments", links),
            "script of ip commands": Script("two_clients.sh"),
        },
    )


def cold_up_against_script(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl up, lab not cached",
        {"script of ip commands": 1},
        None,
        {
            "labctl up, lab not cached": lambda: labctl.cold_up("two_clients"),
            "script of ip commands": Script("two_clients.sh"),
        },
    )


def up_against_mininet(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl up",
        {"Mininet": 1},
        0.25,
        {"labctl up": lambda: labctl.up("two_clients"), "Mininet": Mininet()},
    )


def build_against_c(bench: Bench, links: Links) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl, inside",
        {"C, inside": 1},
        2,
        {
            "labctl, inside": lambda: labctl.build("two_clients", "--impairments", links),
            "C, inside": CProgram(bench.folder, *_network(links, "two_clients")).build,
        },
    )


def build_star_against_c(bench: Bench, links: Links) -> Comparison:
    labctl = Labctl(bench.folder)
    words = ("-p", f"clients={STAR_CLIENTS}", "--impairments", links)
    return bench.compare(
        "labctl, inside",
        {"C, inside": 1},
        1.2,
        {
            "labctl, inside": lambda: labctl.build("star", *words),
            "C, inside": CProgram(bench.folder, *_network(links, "star", STAR_CLIENTS)).build,
        },
    )


def star_against_batch(bench: Bench, links: Links) -> Comparison:
    labctl = Labctl(bench.folder)
    words = ("-p", f"clients={STAR_CLIENTS}", "--impairments", links)
    return bench.compare(
        "labctl up",
        {"ip -batch": 1},
        0.4,
        {
            "labctl up": lambda: labctl.up("star", *words),
            "ip -batch": Script("star_batch.sh", STAR_CLIENTS),
        },
    )


def star_against_script(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl up",
        {"script of ip commands": 1},
        None,
        {
            "labctl up": lambda: labctl.up("star", "-p", f"clients={SMALL_STAR_CLIENTS}"),
            "script of ip commands": Script("star.sh", SMALL_STAR_CLIENTS),
        },
    )


def down_against_c(bench: Bench, links: Links) -> Comparison:
    labctl = Labctl(bench.folder)
    return bench.compare(
        "labctl down",
        {"teardown in C": 2, INTERPRETER: 1},
        1,
        {
            "labctl down": lambda: labctl.down("two_clients", "--impairments", links),
            "teardown in C": CProgram(bench.folder, *_network(links, "two_clients")).remove,
            INTERPRETER: labctl.interpreter_start,
        },
    )


def exec_against_interpreter(bench: Bench) -> Comparison:
    return _exec_against_interpreter(bench, Labctl(bench.folder), 2.5)


def rootless_up_against_interpreter(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder, rootless=True)
    return bench.compare(
        "labctl up --rootless",
        {INTERPRETER: 1},
        None,
        {
            "labctl up --rootless": lambda: labctl.up("two_clients"),
            INTERPRETER: labctl.interpreter_start,
        },
    )


def rootless_down_against_interpreter(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder, rootless=True)
    return bench.compare(
        "labctl down",
        {INTERPRETER: 1},
        None,
        {"labctl down": lambda: labctl.down("two_clients"), INTERPRETER: labctl.interpreter_start},
    )


def rootless_exec_against_interpreter(bench: Bench) -> Comparison:
    return _exec_against_interpreter(bench, Labctl(bench.folder, rootless=True), None)


def _exec_against_interpreter(bench: Bench, labctl: Labctl, limit: float | None) -> Comparison:
    labctl.run("up", "two_clients")
    comparison = bench.compare(
        "labctl exec",
        {INTERPRETER: 1},
        limit,
        {
            "labctl exec": lambda: labctl.run("exec", "client1", "true").milliseconds,
            INTERPRETER: labctl.interpreter_start,
        },
    )
    labctl.run("down", "two_clients")
    return comparison


ROWS = (
    Row("up", "labctl up two_clients", partial(up_against_script, links="none"), 30),
    Row("up-wired", "labctl up two_clients, wired", partial(up_against_script, links="wire"), 30),
    Row("up-cold", "labctl up, lab not cached", cold_up_against_script, 15),
    Row("up-mininet", "labctl up two_clients", up_against_mininet, 15),
    Row("build", "building two_clients", partial(build_against_c, links="none"), 30),
    Row("build-wired", "building two_clients, wired", partial(build_against_c, links="wire"), 30),
    Row("build-star", "building a star of 1000", partial(build_star_against_c, links="none"), 7),
    Row(
        "build-star-wired",
        "building a star of 1000, wired",
        partial(build_star_against_c, links="wire"),
        7,
    ),
    Row("up-star", "labctl up, star of 1000", partial(star_against_batch, links="none"), 7),
    Row(
        "up-star-wired",
        "labctl up, star of 1000, wired",
        partial(star_against_batch, links="wire"),
        7,
    ),
    Row("up-star-script", "labctl up, star of 100", star_against_script, 7),
    Row("down", "labctl down", partial(down_against_c, links="none"), 30),
    Row("down-wired", "labctl down, wired", partial(down_against_c, links="wire"), 30),
    Row("exec", "labctl exec NODE true", exec_against_interpreter, 30),
    Row("rootless-up", "labctl up --rootless", rootless_up_against_interpreter, 30, False),
    Row("rootless-down", "labctl down, rootless", rootless_down_against_interpreter, 30, False),
    Row("rootless-exec", "labctl exec, rootless", rootless_exec_against_interpreter, 30, False),
    *wire_rows.ROWS,
    *netem_rows.ROWS,
    *grading_rows.ROWS,
)
