import os
import shutil
import sys
from pathlib import Path

import pytest

from labctl.programs import interpreter as interpreters
from labctl.programs.interpreter import Interpreter, interpreter


def test_the_systems_interpreter_is_taken_where_it_is_new_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interpreters, "SYSTEM", sys.executable)

    assert interpreter() == Interpreter(sys.executable)


@pytest.mark.parametrize("system", ["/no/such/python", "false"])
def test_otherwise_the_running_one_is_mounted_at_another_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.13").touch()
    monkeypatch.setattr(interpreters, "SYSTEM", shutil.which(system) or system)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3.13"))

    assert interpreter() == Interpreter("/opt/python/bin/python3.13", folder=str(tmp_path))


def test_an_interpreter_with_a_library_of_its_own_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("bin/python3", "lib/libpython3.13.so.1.0"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setattr(interpreters, "SYSTEM", "/no/such/python")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))

    assert interpreter().has_library


def test_a_running_interpreter_below_usr_is_in_every_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = os.path.realpath("/usr/bin/env")
    monkeypatch.setattr(interpreters, "SYSTEM", "/no/such/python")
    monkeypatch.setattr(sys, "executable", path)

    assert interpreter() == Interpreter(path)
