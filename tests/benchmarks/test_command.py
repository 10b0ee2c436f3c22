import json
import os
import subprocess
import sys

import pytest

from benchmarks.command import main
from benchmarks.contenders import HERE, run, value_after
from labctl.errors import LabError


def test_an_unknown_row_is_refused_with_the_rows_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "sideways"]) == 2
    error = capsys.readouterr().err
    assert 'error: no row is called "sideways"' in error
    assert "hint: these are: up " in error


def test_rows_that_need_root_are_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["--only", "up", "--only", "build"]) == 3
    error = capsys.readouterr().err
    assert "needs root" in error
    assert "hint: sudo " in error


def test_a_part_of_the_rows_cannot_replace_the_whole_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--only", "exec", "--write-readme"]) == 2
    assert "--write-readme needs every row" in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_the_number_of_rounds_is_at_least_one(
    rounds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([f"--runs={rounds}"])
    assert stopped.value.code == 2
    assert f'"{rounds}" is not a number of rounds' in capsys.readouterr().err


def test_a_command_that_fails_says_what_it_said_last() -> None:
    with pytest.raises(LabError, match='"sh -c echo first; echo last >&2; exit 7"') as failed:
        run(["sh", "-c", "echo first; echo last >&2; exit 7"])
    assert "exit code 7" in failed.value.problem
    assert failed.value.hint == "last"


def test_a_command_is_over_although_a_child_of_its_holds_the_output_open() -> None:
    # As the holder of a lab does. The child ends with this process's end of the pipe.
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    try:
        done = run(["sh", "-c", f"cat <&{reader} & echo up"])
        assert done.stdout == "up\n"
    finally:
        os.close(writer)
        os.close(reader)


def test_a_timing_is_found_among_others() -> None:
    assert value_after("build_ms", "timings: plan_ms=1.5 build_ms=12.25\n") == 12.25
    with pytest.raises(LabError, match='nothing printed "build_ms="'):
        value_after("build_ms", "timings: plan_ms=1.5\n")


@pytest.mark.kernel
@pytest.mark.slow
def test_a_row_is_measured_from_start_to_end() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py"), "--only", "rootless-exec", "--runs", "2", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    (row,) = json.loads(done.stdout)["rows"]
    assert row["row"] == "rootless-exec"
    assert len(row["contenders"]["labctl exec"]["ms"]) == 2
    assert row["ratio"] > 0


@pytest.mark.uml
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="rows about links need root")
def test_a_row_that_needs_netem_is_measured_in_a_kernel_that_has_it() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py"), "--only", "netem-loss", "--runs", "1", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    (row,) = json.loads(done.stdout)["rows"]
    assert set(row["contenders"]) == {row["subject"], *row["against"]}
    assert row["ratio"] > 0
