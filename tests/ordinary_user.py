"""An ordinary user with labctl installed from the wheel, for tests that must not have privileges.

Made once for a run of the tests, however many workers it has. As root that takes an account of
its own: users of a teaching lab have a name, a group and, where the system is set up for it, a
range of subordinate uids.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parent.parent

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class OrdinaryUser(NamedTuple):
    """Runs commands as a user without privileges, with ``labctl`` on the path."""

    prefix: tuple[str, ...]
    """The command that gives up root; empty where the tests are not root."""
    home: Path
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """Return the command line for ``subprocess``; give it ``environment`` and ``home``."""
        return [*self.prefix, *words]

    def run(
        self, *words: str, stdin: str = "", timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the user's home and return its output and exit status."""
        return subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=self.home,
            env=self.environment,
        )


def ordinary_user(run: str, worker: str) -> OrdinaryUser:
    """Return the run's ordinary user, with a home and a runtime folder for this worker alone."""
    folder = _folder(run)
    folder.mkdir(exist_ok=True)
    # The umask may have kept others out.
    folder.chmod(0o755)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _install(folder / "venv")
            if os.geteuid() == 0:
                _add_account(_account(run), folder)
            (folder / "ready").touch()
    home, runtime = folder / worker / "home", folder / worker / "run"
    for path in (home, runtime):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    (folder / worker).chmod(0o755)
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        account = pwd.getpwnam(_account(run))
        for path in (home, runtime):
            os.chown(path, account.pw_uid, account.pw_gid)
        identity = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups")
        prefix = ("setpriv", *identity, "--")
    else:
        account = pwd.getpwuid(os.geteuid())
    environment = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": f"{folder / 'venv' / 'bin'}:{_SYSTEM_PATH}",
        "USER": account.pw_name,
        "XDG_RUNTIME_DIR": str(runtime),
    }
    return OrdinaryUser(prefix, home, environment)


def remove(run: str) -> None:
    """Remove the account and all files of the run; nothing where there are none."""
    if not _folder(run).exists():
        return
    if os.geteuid() == 0:
        try:
            own = pwd.getpwnam(_account(run))
            shutil.rmtree(f"/tmp/labctl-{own.pw_uid}", ignore_errors=True)
        except KeyError:
            pass  # the installation failed before it
        subprocess.run(["userdel", _account(run)], capture_output=True, check=False)
    shutil.rmtree(_folder(run))


def _folder(run: str) -> Path:
    return Path(tempfile.gettempdir(), f"labctl-tests-{run}")


def _account(run: str) -> str:
    return f"labctl-{run[:12]}"


def _add_account(name: str, home: Path) -> None:
    subprocess.run(
        ["useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh", name],
        check=True,
    )
    # The number may have been an account's of an earlier run, which was killed.
    shutil.rmtree(f"/tmp/labctl-{pwd.getpwnam(name).pw_uid}", ignore_errors=True)


def _install(venv: Path) -> None:
    # The interpreter of the tests may lie in a home directory that others cannot enter.
    system = Path("/usr/bin/python3")
    python = system if system.exists() and os.geteuid() == 0 else Path(sys.executable)
    subprocess.run([python, "-m", "venv", "--clear", venv], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", str(CHECKOUT)], check=True)
    # Whatever the umask was, others may read and enter.
    subprocess.run(["chmod", "-R", "a+rX", venv], check=True)
