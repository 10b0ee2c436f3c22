"""What the tests of the command line share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import MODES, Labctl
from tests.ordinary_user import OrdinaryUser


@pytest.fixture
def labctl(tmp_path: Path) -> Labctl:
    """The command, in an empty folder."""
    return Labctl(tmp_path)


@pytest.fixture(params=MODES)
def pair(labctl: Labctl, request: pytest.FixtureRequest) -> Iterator[str]:
    """The lab ``pair``, once in each mode; its name."""
    with labctl.lab("pair", request.param) as name:
        yield name


@pytest.fixture
def rootless_pair(labctl: Labctl) -> Iterator[str]:
    """The lab ``pair`` without root; its name."""
    with labctl.lab("pair", "--rootless") as name:
        yield name


@pytest.fixture
def lone_user(
    ordinary_user: OrdinaryUser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrdinaryUser]:
    """An ordinary user of whom no lab is up, whatever other tests do meanwhile."""
    runtime = ordinary_user.home / tmp_path_factory.mktemp("run").name
    owner = ordinary_user.home.stat()
    runtime.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(runtime, owner.st_uid, owner.st_gid)
    user = ordinary_user._replace(
        environment={**ordinary_user.environment, "XDG_RUNTIME_DIR": str(runtime)}
    )
    yield user
    user.run("labctl", "down", "--all")
    shutil.rmtree(runtime)
