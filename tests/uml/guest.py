"""A kernel that has netem: User-Mode Linux, booted from this machine's own files for one command.

In the guest the command is root, and sees every file of this machine; what it writes is gone with
the guest. It has one CPU, a clock of 100 Hz and no network to the outside.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from labctl.wait import until

KERNEL = "linux.uml"
PACKAGE = "user-mode-linux"
SHARED = Path("/run/host")
"""Where the guest has the folder that it shares with the host."""

_MODULES = Path("/usr/lib/uml/modules")
_INIT = Path(__file__).with_name("init.sh")
_WIDE_REGISTERS = Path(__file__).with_name("wide_registers.c")
_BOOTS_WITHIN_S = 60.0
_GRACE_S = 10.0
_FOLDERS = Path("/tmp")
"""Not where TMPDIR says: the kernel's command line has no room for spaces in a path."""


class GuestError(Exception):
    """The guest did not boot, or did not end in time; the text has its last words."""


class Done(NamedTuple):
    """A command that has ended in the guest."""

    exit_code: int
    output: str
    """Of both streams."""


def why_none() -> str:
    """Return why this machine cannot boot a guest, or nothing."""
    if not shutil.which(KERNEL):
        return f"{KERNEL} is not installed (apt-get install {PACKAGE})"
    if not shutil.which("modprobe"):
        return "modprobe is not installed (apt-get install kmod)"
    if not shutil.which("cc"):
        return "cc is not installed (apt-get install gcc libc6-dev)"
    if not list(_MODULES.glob("*")):
        return f"no modules of {KERNEL} in {_MODULES}"
    return ""


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    results: Path | None = None,
) -> Done:
    """Boot a guest, run a command in it, and return when all of the guest has ended.

    It may take ``timeout_s`` from when the guest is up. What it writes to ``SHARED / "results"`` is
    in the folder ``results`` afterwards.
    Raises ``GuestError``.
    """
    with tempfile.TemporaryDirectory(prefix=f"labctl-uml-{os.getpid()}-", dir=_FOLDERS) as name:
        folder = Path(name)
        _prepare(folder, command, cwd, environment or {})
        console, in_time = _boot(folder, timeout_s)
        exit_code = folder / "exit_code"
        output = folder / "output"
        said = output.read_text(errors="replace") if output.exists() else ""
        if not exit_code.exists():
            why = "the guest died" if in_time else f"no end within {timeout_s:.0f} s"
            raise GuestError("\n".join([why, *_last_lines(said), *_last_lines(console)]))
        if results:
            shutil.copytree(folder / "results", results, dirs_exist_ok=True)
        return Done(int(exit_code.read_text()), said)


def _prepare(
    folder: Path, command: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> None:
    (folder / "results").mkdir()
    (folder / "cwd").symlink_to(cwd)
    shutil.copy(_INIT, folder / "init")
    preloaded = folder / "wide_registers.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", preloaded, _WIDE_REGISTERS], check=True)
    modules = folder / "modules/lib/modules"
    modules.mkdir(parents=True)
    for version in _MODULES.glob("*"):
        (modules / version.name).symlink_to(version)
    settings = [f"{name}={value}" for name, value in environment.items()]
    words = shlex.join(["env", "-C", str(cwd), *settings, *command])
    _write_script(folder / "command", f"exec {words}")
    _write_script(folder / "modprobe", f'exec modprobe -d {SHARED}/modules "$@"')


def _write_script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _boot(folder: Path, timeout_s: float) -> tuple[str, bool]:
    """Return what the guest wrote to its console, and whether it has ended by itself."""
    words = [
        KERNEL,
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        *("mem=1G", f"init={folder}/init", f"HOST_FOLDER={folder}"),
        f"AT_MOST_S={_BOOTS_WITHIN_S + timeout_s + _GRACE_S:.0f}",
        *(f"uml_dir={folder}/kernel", "umid=guest"),
        *("quiet", "con=null", "con0=null,fd:1", "ssl=null"),
    ]
    # It keeps its memory in a file in /dev/shm, unless one of these names another folder.
    elsewhere = ("TMPDIR", "TMP", "TEMP")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment["LD_PRELOAD"] = str(folder / "wide_registers.so")
    with (folder / "console").open("wb") as console:
        guest = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            # The file is there when the command begins.
            until(lambda: (folder / "output").exists() or guest.poll() is not None, _BOOTS_WITHIN_S)
            guest.wait(timeout_s)
            in_time = True
        except subprocess.TimeoutExpired:
            in_time = False
        finally:
            # Its kernel is one process, each of its programs another.
            _kill_group(guest.pid)
            guest.wait()
            # The others are no children of this process: nobody tells when their memory is gone.
            until(lambda: not _is_group(guest.pid), within_s=60)
    return (folder / "console").read_text(errors="replace"), in_time


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _is_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _last_lines(text: str) -> list[str]:
    return text.splitlines()[-20:]
