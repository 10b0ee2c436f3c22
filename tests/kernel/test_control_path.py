import socket
from pathlib import Path

from labctl.kernel.control_path import socket_path
from labctl.kernel.state import LabState


def test_a_short_path_is_used_as_it_is() -> None:
    with socket_path(LabState("a", "/run/labctl"), "control") as path:
        assert path == "/run/labctl/a/control"


def test_a_socket_in_a_folder_with_a_long_path_can_be_bound_and_reached(tmp_path: Path) -> None:
    base = tmp_path / ("x" * 100)
    state = LabState("a", str(base))
    Path(state.path).mkdir(parents=True)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        with socket_path(state, "control") as path:
            listener.bind(path)
        listener.listen()
        with socket_path(state, "control") as path:
            client.connect(path)
    after = len(list(Path("/proc/self/fd").iterdir()))

    assert (base / "a" / "control").is_socket()
    assert after == before
