"""Files by their names, opened and read as whole lines."""

import bz2
import collections
import gzip
import io
import mmap
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np

# Bytes that are read at once: a tenth of a millisecond's worth, which an L2 cache holds.
CHUNK = 1 << 18
NEWLINE = b"\n"
# Bytes at the end of a file in which an open quote is looked for: pyarrow refuses it farther from
# the end, where what it takes for a value spans two of its parts.
TAIL = 1 << 20
# A quoted value, as pyarrow has it: within others a quote is a character.
QUOTED = re.compile(rb'(?<![^,\r\n])"[^"]*(?:""[^"]*)*("?)')
PACKED: dict[str, Callable] = {".gz": gzip.open, ".bz2": bz2.open}


def as_paths(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """One path or several as a list of files that are there.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        Naming the path.
    ValueError
        Where there is no path.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not several:
        raise ValueError("paths must name at least one file, got none")
    found = [Path(path) for path in several]
    for path in found:
        if path.is_dir():
            raise IsADirectoryError(
                f"{path} is a folder; give its files, for example sorted(Path({str(path)!r})"
                '.glob("*"))'
            )
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}")
    return found


def marks_of(paths: Sequence[Path]) -> list[tuple[int, int, int]]:
    """What tells these files from others of their names: number, length and time of change."""
    found = [path.stat() for path in paths]
    return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in found]


def whole_lines(path: Path, chunk: int = CHUNK) -> Iterator[np.ndarray]:
    """Bytes of a file, unpacked by the suffix of its name, in parts that end where a line does.

    A part is good until the next is asked for. A newline is added to a last line without one.

    Raises
    ------
    ValueError
        For a packed file that is damaged or cut off, naming it.
    """
    store = bytearray(chunk)
    held = 0  # bytes of a line whose end has not been read
    with _opened(path) as file:
        while count := _read(file, memoryview(store)[held:-1], path):
            end = store.rfind(NEWLINE, held, held + count) + 1
            held += count
            if end > 0:
                yield np.frombuffer(store, np.uint8, end)
                store[: held - end] = store[end:held]
                held -= end
            elif held == len(store) - 1:  # a line that is longer than the store
                store = store + bytearray(len(store))
    if held:
        store[held : held + 1] = NEWLINE
        yield np.frombuffer(store, np.uint8, held + 1)


def longest_line(path: Path, n_lines: int) -> int:
    """Bytes of the longest of the first lines."""
    with _opened(path) as file:
        lines = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
        return max(len(lines.readline()) for _ in range(n_lines))


def open_quote(path: Path) -> int | None:
    """The line, from 1 on, of a quote that begins the last quoted value of a CSV file and is
    never closed, or None; of a packed file, None.
    """
    if path.suffix.lower() in PACKED:
        return None
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        before, quote, _ = (NEWLINE + file.read()).rpartition(b'"')
        if not quote or before[-1:] not in b",\r\n":
            return None
        # It begins a value, or ends one whose last character this is: all quotes before it tell.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            last = collections.deque(QUOTED.finditer(text), maxlen=1)[0]
            first, closed = last.start(), last[1]
            del last  # or the map cannot be closed
            return None if closed else 1 + _count(text, NEWLINE, first)


def _count(text, character, stop):
    """How often it is in the first bytes, some of which are copied at a time."""
    return sum(text[k : min(k + TAIL, stop)].count(character) for k in range(0, stop, TAIL))


def _opened(path):
    unpack = PACKED.get(path.suffix.lower())
    return open(path, "rb", buffering=0) if unpack is None else unpack(path, "rb")


def _read(file, part, path):
    try:
        return cast(io.BufferedIOBase, file).readinto(part)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked or read: {error}") from error
