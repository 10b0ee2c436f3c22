import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from labctl.errors import LabErrors
from labctl.topology.cache import load_topology
from labctl.topology.load import load_topology_uncached
from tests.topology.lab_files import LABS, two_hosts

CHECKOUT = LABS.parent


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that entries go to; its parent is there, as ~/.cache mostly is."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "labctl"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(
        two_hosts(
            'ipv4: 10.0.0.0/24, ipv6: "fd00::/64", mtu: 1400, mac: [02:00:00:00:00:01, null]',
            client="gateway: 10.0.0.2, sysctls: {net.ipv4.ip_default_ttl: 9}",
            more="programs: {p: {node: server, command: a 'b c', ready: log x}}\n",
        )
    )
    return path


def only_entry(cache: Path) -> Path:
    [entry] = cache.iterdir()
    return entry


def rewritten(entry: Path, old: bytes, new: bytes) -> None:
    """Change an entry so that its checksum holds."""
    body = entry.read_bytes()[8:]
    assert old in body
    body = body.replace(old, new)
    entry.write_bytes(b"%08x" % crc32(body) + body)


def marked(entry: Path) -> None:
    """Give the lab of an entry another name, by which it is known where it is used."""
    rewritten(entry, b'\n["lab"', b'\n["from the cache"')


def is_hit(lab: Path) -> bool:
    """Whether the lab comes from the entry that was marked."""
    return load_topology(str(lab), {}).name == "from the cache"


def test_a_cached_lab_is_the_same_lab(cache: Path, lab: Path) -> None:
    first = load_topology(str(lab), {})
    again = load_topology(str(lab), {})

    assert again == first == load_topology_uncached(str(lab), {})
    assert [type(part) for part in again.links] == [type(part) for part in first.links]
    assert hash(again) == hash(first)


def test_a_cached_lab_is_not_resolved_again(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    marked(only_entry(cache))

    assert is_hit(lab)


@pytest.mark.slow
def test_a_hit_imports_nothing_heavy(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    code = (
        "import sys; before = set(sys.modules)\n"
        "from labctl.topology.cache import load_topology\n"
        f"load_topology({str(lab)!r}, {{}})\n"
        "print(*sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    heavy = {"yaml", "jinja2", "pydantic", "pathlib", "dataclasses", "hashlib", "difflib"}

    assert not heavy & set(done.stdout.split())


def test_an_edited_file_is_another_lab(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    lab.write_text(lab.read_text().replace("10.0.0", "10.0.9"))

    assert load_topology(str(lab), {}).links[0].left.addresses[0] == "10.0.9.1/24"


def test_other_parameters_are_another_lab(cache: Path) -> None:
    star = str(LABS / "star.yaml.j2")

    assert len(load_topology(star, {"clients": "2"}).nodes) == 3
    assert len(load_topology(star, {"clients": "4"}).nodes) == 5
    assert len(load_topology(star, {}).nodes) == 4
    assert len(list(cache.iterdir())) == 3


def test_a_copy_under_another_name_uses_the_entry_of_the_lab(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    copy = load_topology(str(lab), {}, "second")

    assert copy == load_topology_uncached(str(lab), {}, "second")
    assert copy.nodes[0].netns == "second-client"
    assert only_entry(cache).exists()


def test_a_rule_remembers_the_file_it_stands_in(cache: Path, tmp_path: Path) -> None:
    text = two_hosts(more="rules: {client->server: [{drop: }]}\n")
    for name in ("first.yaml", "second.yaml"):
        path = tmp_path / name
        path.write_text(text)
        [link] = load_topology(str(path), {}).links
        assert link.left.rules[0].where == f"{path}:6"


def test_an_edit_of_the_code_counts(
    cache: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_topology(str(lab), {})
    code = tmp_path / "code"
    code.mkdir()
    (code / "cache.py").write_text("# an older or newer version\n")
    monkeypatch.setattr("labctl.topology.cache.__file__", str(code / "cache.py"))
    load_topology(str(lab), {})

    assert len(list(cache.iterdir())) == 2


def test_a_lab_with_problems_is_not_cached(cache: Path, lab: Path) -> None:
    lab.write_text(two_hosts("foo: 1"))
    for _ in range(2):
        with pytest.raises(LabErrors):
            load_topology(str(lab), {})

    assert not cache.exists()


def garbled(entry: Path) -> None:
    data = bytearray(entry.read_bytes())
    data[-20] ^= 1
    entry.write_bytes(data)


def cut_short(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-5])


def emptied(entry: Path) -> None:
    entry.write_bytes(b"")


def a_folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def a_pipe(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def a_link(entry: Path) -> None:
    target = entry.parent.parent / "elsewhere"
    entry.rename(target)
    entry.symlink_to(target)


def writable_by_all(entry: Path) -> None:
    entry.chmod(0o666)


@pytest.mark.parametrize(
    "harm", [garbled, cut_short, emptied, a_folder, a_pipe, a_link, writable_by_all]
)
def test_a_harmed_entry_is_as_good_as_none(
    harm: Callable[[Path], None], cache: Path, lab: Path
) -> None:
    whole = load_topology(str(lab), {})
    marked(only_entry(cache))
    harm(only_entry(cache))

    assert load_topology(str(lab), {}) == whole


@pytest.mark.parametrize(
    "body", ["[]", "null", '["x", 1, 2, 3]', '["x", [[1]], [], []]', "[" * 100_000, "{}", "", "nan"]
)
def test_an_entry_of_another_form_is_as_good_as_none(body: str, cache: Path, lab: Path) -> None:
    whole = load_topology(str(lab), {})
    entry = only_entry(cache)
    rewritten(entry, entry.read_bytes().rpartition(b"\n")[2], body.encode())

    assert load_topology(str(lab), {}) == whole


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["folder", "entry"])
def test_what_belongs_to_someone_else_is_not_read(what: str, cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    marked(only_entry(cache))
    os.chown(cache if what == "folder" else only_entry(cache), 12345, -1)

    assert not is_hit(lab)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_no_folder_is_made_in_the_home_of_someone_else(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, -1)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))

    load_topology(str(lab), {})

    assert list(home.iterdir()) == []


def test_a_folder_that_others_may_write_to_is_not_used(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    marked(only_entry(cache))
    cache.chmod(0o777)

    assert not is_hit(lab)


def test_the_folder_is_private_and_below_home(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/paths/do/not/count")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()

    load_topology(str(lab), {})

    folder = tmp_path / "home" / ".cache" / "labctl"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert only_entry(folder).stat().st_mode & 0o777 == 0o600


def test_without_a_home_there_is_no_cache(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)

    assert load_topology(str(lab), {}).name == "lab"


def test_old_entries_are_dropped(cache: Path, lab: Path) -> None:
    load_topology(str(lab), {})
    for number in range(150):
        old = cache / f"old{number}.json"
        old.write_bytes(b"")
        os.utime(old, (number, number))
    lab.write_text(two_hosts())

    load_topology(str(lab), {})

    left = {entry.name for entry in cache.iterdir()}
    assert len(left) == 100
    assert "old149.json" in left
    assert "old0.json" not in left
