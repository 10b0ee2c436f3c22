"""Unpacks archives that nobody trusts: what leaves the folder, links or grows too large is refused."""

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from labctl.errors import LabError

_ENDINGS = (
    ".zip",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
)

MOST_MEMBERS = 5000
MOST_BYTES = 256 << 20
_PART = 1 << 16

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What the libraries raise for an archive that is damaged, cut off or encrypted."""


class _Member(NamedTuple):
    name: str
    is_folder: bool
    is_ordinary: bool
    is_executable: bool | None
    """``None`` where the archive does not say."""
    open: Callable[[], IO[bytes] | None]


def archive_ending(name: str) -> str:
    """Return the part of a file's name that says it is an archive; empty where it is none."""
    endings = [ending for ending in _ENDINGS if name.lower().endswith(ending)]
    return name[-len(max(endings, key=len)) :] if endings else ""


def unpack(archive: str, target: str, *, most_bytes: int = MOST_BYTES) -> None:
    """Unpack into the folder ``target``, which is made. Raises ``LabError`` for a bad archive."""
    try:
        if archive.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as zipped:
                _write_all(_zip_members(zipped), archive, target, most_bytes)
        else:
            with tarfile.open(archive) as tar:
                _write_all(_tar_members(tar), archive, target, most_bytes)
    except _BROKEN as error:
        raise _refused(archive, f"cannot be unpacked: {str(error).lower()}") from None
    except NotImplementedError:
        raise _refused(archive, "cannot be unpacked: its compression is unknown here") from None
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise _refused(archive, "has a file and a folder of one name") from None


def _zip_members(zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for entry in zipped.infolist():
        mode = entry.external_attr >> 16
        kind = stat.S_IFMT(mode)
        yield _Member(
            # Some programs of Windows separate folders as only Windows does.
            entry.filename.replace("\\", "/"),
            is_folder=entry.is_dir(),
            is_ordinary=kind in (0, stat.S_IFREG, stat.S_IFDIR),
            is_executable=bool(mode & 0o111) if mode else None,
            open=lambda entry=entry: zipped.open(entry),  # type: ignore[misc]
        )


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for entry in tar:
        yield _Member(
            entry.name,
            is_folder=entry.isdir(),
            is_ordinary=entry.isreg() or entry.isdir(),
            is_executable=bool(entry.mode & 0o111),
            open=lambda entry=entry: tar.extractfile(entry),  # type: ignore[misc]
        )


def _write_all(members: Iterator[_Member], archive: str, target: str, most_bytes: int) -> None:
    os.makedirs(target, exist_ok=True)
    left = most_bytes
    for number, member in enumerate(members, 1):
        if number > MOST_MEMBERS:
            raise _refused(archive, f"has more than {MOST_MEMBERS} files")
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if member.name.startswith("/") or ".." in parts:
            raise _refused(archive, f'has the file "{member.name}", which lies outside of it')
        if not member.is_ordinary:
            raise _refused(archive, f'has "{member.name}", which is a link or a device')
        path = os.path.join(target, *parts)
        if member.is_folder:
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        left = _write(member, path, left)
        if left < 0:
            raise _refused(archive, f"holds more than {most_bytes >> 20} MiB")


def _write(member: _Member, path: str, left: int) -> int:
    """Write one file; return how many bytes more may come, less than none where it is too many."""
    source = member.open()
    if source is None:
        return left
    start = b""
    with source, open(path, "wb") as file:
        # What a header says of the size is not to be believed.
        while left >= 0 and (part := source.read(_PART)):
            start = start or part[:4]
            left -= len(part)
            file.write(part)
    is_executable = member.is_executable
    if is_executable is None:
        is_executable = start[:2] == b"#!" or start == b"\x7fELF"
    os.chmod(path, 0o755 if is_executable else 0o644)
    return left


def _refused(archive: str, what: str) -> LabError:
    return LabError(
        f"the archive {what}",
        where=os.path.basename(archive),
        hint="unpack it yourself, and grade the folder",
    )
