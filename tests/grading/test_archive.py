import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.archive import MOST_MEMBERS, archive_ending, unpack


def _zip(folder: Path, files: dict[str, bytes], name: str = "a.zip") -> str:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return str(folder / name)


def _tar(folder: Path, *members: tarfile.TarInfo) -> str:
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return str(folder / "a.tar.gz")


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


def _refused(archive: str, folder: Path, match: str) -> None:
    with pytest.raises(LabError, match=match) as error:
        unpack(archive, str(folder / "out"))
    assert error.value.where == Path(archive).name
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.zip", ".zip"),
        ("a.ZIP", ".ZIP"),
        ("a.tar.gz", ".tar.gz"),
        ("a.b.tgz", ".tgz"),
        ("a.tar", ".tar"),
        ("a.gz", ""),
        ("zip", ""),
        ("a.py", ""),
    ],
)
def test_an_archive_is_known_by_its_name(name: str, ending: str) -> None:
    assert archive_ending(name) == ending


@pytest.mark.parametrize("kind", ["zip", "gztar", "bztar", "xztar", "tar"])
def test_folders_contents_and_what_is_executable_come_out(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "run").write_bytes(b"\x00program")
    (source / "inner" / "run").chmod(0o700)
    (source / "text").write_text("text")
    archive = shutil.make_archive(str(tmp_path / "made"), kind, source)
    unpack(archive, str(tmp_path / "out"))

    assert (tmp_path / "out" / "inner" / "run").read_bytes() == b"\x00program"
    modes = [
        stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in ("inner/run", "text")
    ]
    assert modes == [0o755, 0o644]


def test_a_zip_of_windows_has_folders_and_its_scripts_can_be_run(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("src\\run", "#!/bin/sh\n"), ("src\\text", "text")):
            entry = zipfile.ZipInfo(name)
            archive.writestr(entry, content)
            # The directory, written at the end, has no modes as Unix knows them.
            entry.create_system, entry.external_attr = 0, 0
    unpack(str(path), str(tmp_path / "out"))

    assert os.access(tmp_path / "out" / "src" / "run", os.X_OK)
    assert not (tmp_path / "out" / "src" / "text").stat().st_mode & 0o111


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "..", "a/..\\..\\evil", "\\evil"]
)
def test_what_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    _refused(_zip(tmp_path, {name: b"x"}), tmp_path, "outside of it")
    if "\\" not in name:
        _refused(_tar(tmp_path, _member(name)), tmp_path, "outside of it")

    assert not (tmp_path / "evil").exists()
    assert not Path("/evil").exists()


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "inside"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    archive = _tar(tmp_path, _member("a", kind, target), _member("a/evil"))
    _refused(archive, tmp_path, "a link or a device")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")

    _refused(str(tmp_path / "a.zip"), tmp_path, "a link or a device")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_is_stopped_by_what_comes_out_of_it(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "zeros").write_bytes(bytes(4 << 20))
    archive = shutil.make_archive(
        str(tmp_path / "bomb"), "zip" if kind == "zip" else "gztar", tmp_path / "in"
    )
    with pytest.raises(LabError, match="more than 1 MiB"):
        unpack(archive, str(tmp_path / "out"), most_bytes=1 << 20)

    assert (tmp_path / "out" / "zeros").stat().st_size < 2 << 20


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"f{number}": b"" for number in range(MOST_MEMBERS + 1)}
    _refused(_zip(tmp_path, files), tmp_path, f"more than {MOST_MEMBERS} files")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "a.tar.xz"])
@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    _refused(str(tmp_path / name), tmp_path, "cannot be unpacked")


@pytest.mark.parametrize("kind", ["zip", "gztar", "bztar", "xztar"])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "noise").write_bytes(os.urandom(100_000))
    whole = Path(shutil.make_archive(str(tmp_path / "a"), kind, tmp_path / "in"))
    whole.write_bytes(whole.read_bytes()[:50_000])

    _refused(str(whole), tmp_path, "cannot be unpacked")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    _refused(_zip(tmp_path, {"a": b"x", "a/b": b"x"}), tmp_path, "a file and a folder of one name")


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = Path(_zip(tmp_path, {"a": b"secret"}))
    content = bytearray(path.read_bytes())
    # The flag of encryption, in the header of the file and in the directory at the end.
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)

    _refused(str(path), tmp_path, "cannot be unpacked.*encrypted")
