"""How each contender is run once: prepared, timed, and cleared away."""

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labctl.errors import machine_error

HERE = Path(__file__).resolve().parent
SCRATCH = Path("/run/labctl-benchmark")
"""Exists only where scratch.sh has made /run and /etc private."""

PROGRAM_SECONDS = 300
"""A star of a thousand takes `ip -batch` half a minute on a slow machine."""

_RTMGRP_LINK = 1
_RTM_DELLINK = 17


def in_scratch() -> bool:
    """Whether every name in /run belongs to this run of the benchmarks."""
    return SCRATCH.is_dir()


class Unavailable(Exception):
    """A contender cannot run on this machine; says why, as the reason a row is left out."""


class Finished(NamedTuple):
    """A command that ended well."""

    milliseconds: float
    stdout: str
    stderr: str


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run a command from start to end. Raises ``LabError`` where it fails."""
    # Into files: the processes that `labctl up` leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            close_fds=False,  # lets subprocess use vfork, which costs the contenders less
        ) as process:
            try:
                _wait_for_end(process.pid)
                milliseconds = (time.perf_counter() - start) * 1000
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        stdout.seek(0)
        stderr.seek(0)
        finished = Finished(milliseconds, stdout.read(), stderr.read())
    if code != 0:
        said = (finished.stderr or finished.stdout).strip().splitlines()
        shown = " ".join([Path(argv[0]).name, *(Path(word).name for word in argv[1:])])
        raise machine_error(f'"{shown}" ended with exit code {code}', hint=said[-1] if said else "")
    return finished


def _wait_for_end(pid: int) -> None:
    # Popen.wait with a timeout looks at growing intervals, and is late by up to the time itself.
    pidfd = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        if not ended.poll(PROGRAM_SECONDS * 1000):
            raise machine_error(f"a command did not end within {PROGRAM_SECONDS} s")
    finally:
        os.close(pidfd)


def value_after(key: str, text: str) -> float:
    """Return the number in ``key=number``, as the C program and labctl print their timings."""
    for word in text.split():
        name, _, number = word.partition("=")
        if name == key:
            with suppress(ValueError):
                return float(number)
    raise machine_error(
        f'nothing printed "{key}="',
        hint="labctl prints it on stderr where LABCTL_TIMINGS=1 is set",
    )


class Script:
    """One of the shell scripts of this folder; a turn is one ``up``."""

    def __init__(self, name: str, *arguments: str) -> None:
        if not shutil.which("ip"):
            raise Unavailable("no ip command: install iproute2")
        self._words = ["sh", str(HERE / name)], list(arguments)

    def __call__(self) -> float:
        """Build the network, and remove it untimed."""
        script, arguments = self._words
        milliseconds = run([*script, "up", *arguments]).milliseconds
        run([*script, "down", *arguments])
        return milliseconds


class CProgram:
    """``network.c``, compiled into a folder that the caller owns."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._program = str(compile_network(folder))
        self._arguments = arguments

    def build(self) -> float:
        """Build the network and remove it; return what building took inside the process."""
        finished = run([self._program, "up", *self._arguments])
        run([self._program, "down", *self._arguments])
        return value_after("build_ms", finished.stdout)

    def remove(self) -> float:
        """Build the network and remove it; return what the whole removing command took."""
        run([self._program, "up", *self._arguments])
        return run([self._program, "down", *self._arguments]).milliseconds


def compile_network(folder: Path) -> Path:
    """Return the compiled ``network.c``."""
    return compiled(folder, "network")


def compiled(folder: Path, name: str) -> Path:
    """Return one of the C programs of this folder, made where ``folder`` does not have it yet."""
    program = folder / name
    if not program.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            raise Unavailable("no C compiler: install gcc or clang, with the kernel's headers")
        run([compiler, "-O2", "-o", str(program), str(HERE / f"{name}.c")])
    return program


class Mininet:
    """Mininet 2.3; a turn lasts from the start of its process until the network is there."""

    def __init__(self) -> None:
        command = shutil.which("mn")
        if command is None:
            raise Unavailable("no Mininet: install the package mininet")
        first = Path(command).read_text(errors="replace").partition("\n")[0]
        if not first.startswith("#!"):
            raise Unavailable("the mn command does not say which Python has Mininet")
        self.argv = [*first[2:].split(), str(HERE / "mininet_two_clients.py")]

    def __call__(self) -> float:
        """Build the network, and remove it untimed."""
        start = time.perf_counter()
        with (
            tempfile.TemporaryFile("w+") as stderr,
            subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                close_fds=False,
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                built = process.stdout.readline() == b"up\n"
                milliseconds = (time.perf_counter() - start) * 1000
                process.stdin.close()
                process.wait(PROGRAM_SECONDS)
            except BaseException:
                process.kill()
                raise
            if not built:
                stderr.seek(0)
                said = stderr.read().strip().splitlines()
                raise machine_error("Mininet built nothing", hint=said[-1] if said else "")
        return milliseconds


class Labctl:
    """The labctl of this checkout, with caches and state in a folder that the caller owns."""

    def __init__(self, folder: Path, *, rootless: bool = False) -> None:
        self._mode = ["--rootless"] if rootless else []
        self._cache = folder / "cache"
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        self._environment = {
            # Whatever the caller sets for Python would not be set where labctl is used.
            **{key: text for key, text in os.environ.items() if not key.startswith("PYTHON")},
            # The first round compiles, as the first use of an installed labctl does.
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "PYTHONPATH": str(HERE.parent),
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(self._cache),
            "XDG_RUNTIME_DIR": str(runtime),
            "LABCTL_PATH": str(HERE.parent / "labs"),
        }

    def run(self, verb: str, *words: str) -> Finished:
        """Run one verb with its words."""
        mode = self._mode if verb == "up" else []
        argv = [
            sys.executable,
            str(HERE.parent / "bin/labctl"),
            verb,
            *words[:1],
            *mode,
            *words[1:],
        ]
        return run(argv, self._environment)

    def interpreter_start(self) -> float:
        """Return what starting the Python that runs labctl costs by itself."""
        return run([sys.executable, "-c", "pass"], self._environment).milliseconds

    def up(self, lab: str, *options: str) -> float:
        """Build a lab, remove it, and return what the whole building command took."""
        finished = self.run("up", lab, *options)
        self.run("down", lab)
        return finished.milliseconds

    def cold_up(self, lab: str) -> float:
        """Do the same with the lab file to be read and checked anew."""
        shutil.rmtree(self._cache, ignore_errors=True)
        return self.up(lab)

    def build(self, lab: str, *options: str) -> float:
        """Build a lab, remove it, and return what carrying out the steps took inside."""
        self._environment["LABCTL_TIMINGS"] = "1"
        finished = self.run("up", lab, *options)
        self.run("down", lab)
        return value_after("build_ms", finished.stderr)

    def down(self, lab: str, *options: str) -> float:
        """Build a lab, remove it, and return what the whole removing command took."""
        self.run("up", lab, *options)
        return self.run("down", lab).milliseconds


def wait_for_freed_namespaces() -> None:
    """Wait until the kernel is done with namespaces that were removed before this call.

    Freeing goes on in the background, for a second after a star of a thousand, and would slow
    whoever has the next turn. The kernel frees in order: once the peer of a link into a
    namespace that was removed last is gone, so is what went before.
    """
    run(["ip", "netns", "add", "benchmark_last"])
    peer = ["peer", "name", "eth0", "netns", "benchmark_last"]
    run(["ip", "link", "add", "benchmark0", "type", "veth", *peer])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as events:
        events.bind((0, _RTMGRP_LINK))
        events.settimeout(60)
        run(["ip", "netns", "del", "benchmark_last"])
        # Nothing else happens to links here: this network namespace belongs to the benchmark.
        while int.from_bytes(events.recv(65536)[4:6], sys.byteorder) != _RTM_DELLINK:
            pass
