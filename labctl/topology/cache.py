"""The front door for lab files: a lab that was resolved before is not resolved again.

Reading YAML and checking it costs a hundred milliseconds, most of them for imports; an entry of
the cache costs one. An entry holds, word for word, everything its topology came from, and is
used only where all of that is the same: so nothing ever has to be invalidated.
"""

import json
import os
import stat
import sys
from collections.abc import Mapping
from zlib import crc32

from labctl.topology.find import read_lab_file
from labctl.topology.model import Topology
from labctl.topology.serial import dump_topology, load_topology_text

_MOST_ENTRIES = 100
_MOST_BYTES = 50_000_000
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_CHECKSUM_LENGTH = 8


def load_topology(path: str, parameters: Mapping[str, str], instance: str = "") -> Topology:
    """Return the lab of the file, as ``labctl.topology.load`` resolves it.

    Raises what that raises; a cache that is absent, broken or not our own is never an error.
    ``instance`` is the name of this copy of the lab, empty for the one in the file.
    """
    content = read_lab_file(path)
    folder = cache_folder()
    key = _key(content, path, parameters)
    entry = os.path.join(folder, f"{crc32(key):08x}.json")
    topology = _read(entry, key) if folder and _is_ours(folder) else None
    if topology is None:
        # Imported here because this is what the cache saves: pydantic, yaml and perhaps jinja2.
        from labctl.topology.load import parse_topology

        topology = parse_topology(content, path, parameters)
        if folder and _made(folder):
            _write(entry, key, topology)
            _drop_old_entries(folder)
    if not instance:
        return topology
    # Imported here because most labs are up under their own name, and half a millisecond counts.
    from labctl.topology.copies import as_copy

    return as_copy(topology, instance)


def cache_folder() -> str:
    """Return where entries are kept; nothing where the environment does not say."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        base = f"{home}/.cache" if home.startswith("/") else ""
    return f"{base}/labctl" if base else ""


def _key(content: bytes, path: str, parameters: Mapping[str, str]) -> bytes:
    """Return all that a topology comes from, in one line.

    Of the code it is the size and times of its files, so that an upgrade and an edit both count.
    Of the path it is how it was written: the rules of a lab remember where they stand.
    """
    code = os.path.dirname(__file__)
    files = []
    try:
        with os.scandir(code) as entries:
            for file in entries:
                if file.name.endswith(".py"):
                    facts = file.stat()
                    files.append((file.name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
    except OSError:
        # Inside a zip file the code has no files; its path then has to do.
        files = []
    origin = [sys.version, code, sorted(files), path, sorted(parameters.items())]
    return json.dumps([*origin, content.decode("latin-1")]).encode()


def _is_ours(folder: str) -> bool:
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and _only_we_write(facts)


def _only_we_write(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & _WRITABLE_BY_OTHERS


def _made(folder: str) -> bool:
    """Make the folder unless it is there, but never in the home of someone else (sudo)."""
    if not _is_ours(folder):
        base = os.path.dirname(folder)
        try:
            for parent in (os.path.dirname(base), base):
                if os.path.isdir(parent) and os.stat(parent).st_uid == os.geteuid():
                    os.makedirs(folder, 0o700, exist_ok=True)
                    break
        except OSError:
            return False
    return _is_ours(folder)


def _read(entry: str, key: bytes) -> Topology | None:
    """Return the topology of an entry; None where it is of another key, damaged or not ours."""
    try:
        # Neither a link nor a pipe that someone put there may lead us elsewhere or hold us up.
        fd = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode) or not _only_we_write(facts):
                return None
            checksum, body = file.read(_CHECKSUM_LENGTH), file.read()
        if not body.startswith(key + b"\n") or checksum != b"%08x" % crc32(body):
            return None
        return load_topology_text(body[len(key) :].decode())
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def _write(entry: str, key: bytes, topology: Topology) -> None:
    body = key + b"\n" + dump_topology(topology).encode()
    unfinished = f"{entry}.{os.getpid()}"
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(b"%08x" % crc32(body) + body)
        os.replace(unfinished, entry)
    except OSError:
        # What a full disk leaves half written is among the old entries one day.
        return


def _drop_old_entries(folder: str) -> None:
    """Keep the newest entries, up to a number and a size."""
    try:
        with os.scandir(folder) as files:
            facts = [(file.stat(follow_symlinks=False), file.path) for file in files]
    except OSError:
        return
    facts.sort(key=lambda fact: fact[0].st_mtime_ns, reverse=True)
    size = 0
    for position, (fact, path) in enumerate(facts):
        size += fact.st_size
        if position >= _MOST_ENTRIES or (position and size > _MOST_BYTES):
            try:
                os.unlink(path)
            except OSError:
                continue
