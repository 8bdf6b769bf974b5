"""Files by their names, opened and read as whole lines."""

import bz2
import functools
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np

# Bytes that are read at once: a tenth of a millisecond's worth, which an L2 cache holds.
BUFFER_BYTES = 1 << 18
NEWLINE = b"\n"
# Bytes at the end of a file in which an open quote is looked for: pyarrow refuses it farther from
# the end, where what it takes for a value spans two of its parts.
TAIL = 1 << 20
# A quoted value, as pyarrow has it, and what is left of one: within others a quote is a character.
# It looks back from the quote, which is found at 4 GB/s; from the place before it at 0.1.
REST = re.compile(rb'[^"]*(?:""[^"]*)*("?)')
QUOTED = re.compile(rb'"(?<![^,\r\n]")' + REST.pattern)
QUOTE = ord('"')
LIMITS = np.isin(np.arange(256), list(b",\r\n"))
# What follows a value; pyarrow lets anything.
ENDS = re.compile(rb"[ \t]*[,\r\n]")
PACKED: dict[str, Callable] = {".gz": gzip.open, ".bz2": bz2.open}


def as_paths(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """One path or several as a list of files that are there.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        Naming the path.
    ValueError
        Where there is no path, or something else, and for a pipe, which can be read only once.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise ValueError(f"paths must be a path or a list of paths, got {paths!r}")
    several = list(several)
    for one in several:
        if not isinstance(one, str | os.PathLike):
            raise ValueError(f"paths must be a path or a list of paths, got {one!r} in it")
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
        if not path.is_file():
            raise ValueError(
                f"{path} is a pipe or a device, and a fit reads its rows again and again; write "
                "them to a file first"
            )
    return found


def marks_of(paths: Sequence[Path]) -> list[tuple[int, int, int]]:
    """What tells these files from others of their names: number, length and time of change."""
    found = [path.stat() for path in paths]
    return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in found]


def whole_lines(
    path: Path, buffer_bytes: int = BUFFER_BYTES, *, first: int = 0
) -> Iterator[np.ndarray]:
    """Bytes of a file, unpacked by the suffix of its name, in parts that end where a line does.

    A part is good until the next is asked for. A newline is added to a last line without one. The
    bytes before number `first`, where a line begins, are left out.

    Raises
    ------
    ValueError
        For a packed file that is damaged or cut off, naming it.
    """
    store = bytearray(buffer_bytes)
    held = 0  # bytes of a line whose end has not been read
    with _opened(path) as file:
        if first:
            file.seek(first)
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


def open_quote(path: Path, whole: bool = False) -> int | None:
    """The line, from 1 on, of a quote of a CSV file that is never closed, or within a value of a
    later line, or None: by the end of the file, in which it may be the last one, or the `whole`
    file, unpacked.
    """
    if not whole and path.suffix.lower() not in PACKED:
        with open(path, "rb") as file:
            file.seek(max(path.stat().st_size - TAIL, 0))
            before, quote, _ = (NEWLINE + file.read()).rpartition(b'"')
        # It begins a value, or ends one whose last character this is: all quotes before it tell.
        whole = bool(quote) and before[-1:] in b",\r\n"
    return _open_quote(path, *marks_of([path])) if whole else None


@functools.cache
def _open_quote(path, mark):
    """The same of a whole file, read once while it has this mark."""
    opened, line = None, 1
    for part in whole_lines(path):
        text, first = part.tobytes(), 0
        if not opened and _are_closed(part):
            line += text.count(NEWLINE)
            continue
        if opened:
            rest = cast(re.Match, REST.match(text))  # of nothing, at least
            if not rest[1]:
                line += text.count(NEWLINE)
                continue
            first = rest.end()
            if not ENDS.match(text, first):
                return opened
            opened = None
        for value in QUOTED.finditer(text, first):
            several = NEWLINE in value[0]
            if not value[1] or (several and not ENDS.match(text, value.end())):
                opened = line + text.count(NEWLINE, 0, value.start())
                if value[1]:
                    return opened
        line += text.count(NEWLINE)
    return opened


def _are_closed(part):
    """Whether each other quote begins a value and the next one ends it, as most do: 0.06 s of
    2,400,000 values, where a look at each took 0.9.
    """
    quotes = np.flatnonzero(part == QUOTE)
    # Before the first byte is the end of a line, as the last byte is.
    before, after = part[quotes[::2] - 1], part[quotes[1::2] + 1]
    return quotes.size % 2 == 0 and LIMITS[before].all() and LIMITS[after].all()


def _opened(path):
    unpack = PACKED.get(path.suffix.lower())
    return open(path, "rb", buffering=0) if unpack is None else unpack(path, "rb")


def _read(file, part, path):
    try:
        return cast(io.BufferedIOBase, file).readinto(part)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked or read: {error}") from error
