"""One short text for all that a folder holds: the same while nothing in it has changed."""

import hashlib
import os
import stat

_LEFT_OUT = ("__pycache__", ".labctl", ".git")
_LARGE = 64 << 20
"""Bytes. Of a larger file its size and time stand for its content."""


def fingerprint(*paths: str) -> str:
    """Return the fingerprint of files and folders: names, contents, and what is executable."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(b"path\0")
        _add(digest, path, "")
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", path: str, name: str) -> None:
    try:
        # The path that was given may be a link; those within are what they are.
        status = os.lstat(path) if name else os.stat(path)
        if stat.S_ISLNK(status.st_mode):
            _say(digest, name, "link", os.fsencode(os.readlink(path)))
        elif stat.S_ISDIR(status.st_mode):
            _say(digest, name, "folder", b"")
            for entry in sorted(set(os.listdir(path)) - set(_LEFT_OUT)):
                _add(digest, os.path.join(path, entry), f"{name}/{entry}")
        elif stat.S_ISREG(status.st_mode):
            kind = "program" if status.st_mode & 0o111 else "file"
            _say(digest, name, kind, _content(path, status))
        else:
            # Reading a pipe could take for ever.
            _say(digest, name, "special", b"")
    except OSError as error:
        _say(digest, name, "unreadable", str(error.errno).encode())


def _content(path: str, status: os.stat_result) -> bytes:
    if status.st_size > _LARGE:
        return f"{status.st_size} {status.st_mtime_ns}".encode()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _say(digest: "hashlib._Hash", name: str, kind: str, content: bytes) -> None:
    # With lengths, so that no name can look like the end of one entry and the start of another.
    for word in (os.fsencode(name), kind.encode(), content):
        digest.update(len(word).to_bytes(8, "big") + word)
