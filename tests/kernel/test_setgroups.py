import pytest

from tests.limits import LIMIT_S
from tests.owners import ROOTLESS_OWNERS, owner_of_kind

pytestmark = pytest.mark.kernel

SCRIPT = "import os; os.setgroups([0, 7]); os.setgid(0); print('as ever')"


@pytest.mark.parametrize("kind", ROOTLESS_OWNERS)
@pytest.mark.parametrize("way", ["exec", "run -d"])
def test_setgroups_succeeds_in_a_rootless_lab(
    kind: str, way: str, request: pytest.FixtureRequest
) -> None:
    owner = owner_of_kind(kind, request)
    with owner.lab() as name:
        if way == "exec":
            output = owner.labctl(
                "exec", "-l", name, "client1", "--", "/usr/bin/env", "python3", "-c", SCRIPT
            ).stdout
        else:
            ready = ("--ready", "log as ever", "--within", str(LIMIT_S), "--name", "changer")
            done = owner.labctl("run", "-l", name, "-d", *ready, "client1", "python3", "-c", SCRIPT)
            assert done.returncode == 0, done.stderr
            output = owner.labctl("logs", "-l", name, "changer").stdout

    assert output == "as ever\n"
