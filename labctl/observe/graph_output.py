"""Which format a picture has, and how it is put into a file."""

import os
import stat

from labctl.errors import LabError
from labctl.observe.graph import PictureFormat

ENDINGS: dict[str, PictureFormat] = {
    ".txt": "text",
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
}

_BITMAP_ENDINGS = (".png", ".pdf", ".jpg", ".jpeg")


def choose_format(wanted: PictureFormat | None, path: str, *, on_terminal: bool) -> PictureFormat:
    """Return the format asked for, else that of the file's ending, else what suits the stream."""
    if wanted is not None:
        return wanted
    if not path:
        return "text" if on_terminal else "mermaid"
    ending = os.path.splitext(path)[1].lower()
    if ending in ENDINGS:
        return ENDINGS[ending]
    if ending in _BITMAP_ENDINGS:
        raise LabError(
            f'labctl does not write "{ending}" files',
            where=path,
            hint=f"labctl graph LAB --format dot | dot -T{ending[1:]} -o {path}",
        )
    raise LabError(
        f'the ending "{ending}" says nothing about the format' if ending else "no file ending",
        where=path,
        hint=f"end the name in {', '.join(ENDINGS)}, or add --format",
    )


def write_picture(path: str, text: str) -> None:
    """Write the file in one piece: whoever reads it sees the old picture or the new one.

    What is no regular file, such as /dev/stdout or a pipe, is written to and not replaced.
    """
    try:
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            raise LabError(
                "is a directory",
                where=path,
                hint=f"name a file in it: {os.path.join(path, 'lab.svg')}",
            )
        if mode is not None and not stat.S_ISREG(mode):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        else:
            # A symbolic link stays one: what it points at is replaced.
            _replace(os.path.realpath(path), text, mode)
    except OSError as error:
        raise LabError(
            f"cannot write the picture: {(error.strerror or str(error)).lower()}",
            where=path,
            hint="choose another file with -o",
        ) from error


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _replace(path: str, text: str, mode: int | None) -> None:
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, f".{name[:200]}.{os.getpid()}.tmp")
    # O_EXCL: in a shared folder such as /tmp, nobody can lay a link where we write.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o666)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if mode is not None:
                os.fchmod(descriptor, stat.S_IMODE(mode))
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
