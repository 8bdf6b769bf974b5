"""Checkpoints: a fit in a file, restored where it was killed, with the same bits.

A checkpoint is a zip archive without compression.  It holds numbers and words, no code: what is
read are JSON and arrays, and the classes that values become are those of a closed list
(`fastgd.fitting.stored_classes`), by names of its own.

    checkpoint.json     the header, below
    0.npy, 1.npy, ...   arrays, in NumPy's format, none of objects
    comment             a hash of the header and the arrays (`fastgd.data.digest.hash_of`)

The header is a JSON object:

    format      "fastgd checkpoint"
    version     VERSION: of this description
    package     version of fastgd
    fit         what tells the fit from others: parameters and data in words, numbers and hashes
    begin       value: where the generator of random numbers was, the bytes that sources of blocks
                may take, and of each target its seed, and where it starts
    targets     for each target null, or the value of its run: one that is under way (`SavedRun`) or
                has ended (`Run`)

Values are written as in `fastgd.fitting.plain_values`; each of `begin` and the targets has
arrays of its own: {"tree": ..., "arrays": [numbers of the arrays]}.

A run is saved between two iterations with all that the rest of it follows from: the solver's state
and what it holds beside it, history, passes, the lowest point, what is proved of F*, the plans
before it and the seconds used (`fastgd.fitting.loop.LoopState`).  An epoch's order of rows follows
from seed and epoch.

What a file says is compared twice: with its hash, which tells a file that anything but a fit has
changed, and with the fit that is restored, for compiled loops do not ask how long arrays are: of
each array shape and type, of the numbers of columns and rows their range, as the classes say in
`shapes` (`fastgd.runtime.array_shapes`).

A file is written beside its place, brought to the disk, and put in its place at once: whenever the
process is killed, the file is whole, the last or the one before.
"""

import contextlib
import json
import os
import struct
import threading
import time
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np

from fastgd.data.digest import hash_of
from fastgd.fitting.plain_values import Decoder, Encoder
from fastgd.fitting.stored_classes import REGISTERED
from fastgd.fitting.task import Run, SavedRun
from fastgd.runtime.array_shapes import WrongArray

FORMAT = "fastgd checkpoint"
VERSION = 8
HEADER = "checkpoint.json"
# What `begin` has of each target.
OF_TARGETS = "seeds", "starts", "states"
# A file that is none, or is cut off, may fail to be read in each of these ways.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    MemoryError,
    RecursionError,
    NotImplementedError,
)


class Checkpoint:
    """Where the runs of one fit are saved, and restored from.

    Parameters
    ----------
    path : str
    every : float
        Seconds between two writes; 0: as often as can be.
    header : dict
        What tells the fit: see the docstring of this module.
    begin : dict
        What else all targets need.
    n_targets : int
    parts : list, optional
        Runs of an earlier process, as `read` gives them.
    """

    def __init__(self, path, every, header, begin, n_targets, parts=None):
        self.path, self.every, self._header = path, every, header
        # Copies: a run goes on in the arrays of the state that it begins with.
        self._begin = _encoded(begin, copied=True)
        found = parts or [None] * n_targets
        # Arrays of a run that goes on change; where others go on beside it, copies of them wait to
        # be written.
        self._several = n_targets > 1
        self._found = dict(enumerate(found))
        self._parts = [_encoded(one, self._several) if one is not None else None for one in found]
        self._lock = threading.Lock()
        self._written = time.monotonic()
        self._saved_at: dict[int, float] = {}
        self._new = self._warned = False

    def saved_run(self, k):
        """The `SavedRun` of target `k` that is to be restored, or None."""
        if not isinstance(self._found.get(k), SavedRun):
            return None
        if not self._several:
            self._parts[k] = None  # nothing is written before it is saved again
        return self._found.pop(k)

    def ended(self, k):
        """The `Run` of target `k` that an earlier process has ended, or None."""
        found = self._found.get(k)
        return found if isinstance(found, Run) else None

    @contextlib.contextmanager
    def restoring(self):
        """Within this, arrays of the file that are not those of this fit are told as such."""
        try:
            yield
        except WrongArray as error:
            raise ValueError(f"{self.path!r} is damaged: {error}; {instead()}") from error

    def due(self, k):
        """Whether it is time to save the run of target `k`."""
        return time.monotonic() - self._saved_at.get(k, self._written) >= self.every

    def save(self, k, run):
        """Save a run that is under way, in the file."""
        self._take(k, run)
        self.flush()
        self._saved_at[k] = time.monotonic()

    def end(self, k, run):
        """Take a run that has ended; it is in the file with the next that is due."""
        if self._several:
            self._take(k, run)
            if time.monotonic() - self._written >= self.every:
                self.flush()

    def flush(self):
        """Write what is new."""
        with self._lock:
            if self._new:
                # What could not be written is tried again where it is a copy: the arrays of a
                # single run have gone on by then.
                self._new = not self._write() and self._several
                self._written = time.monotonic()

    def remove(self):
        """Remove the file: the fit has ended."""
        for path in (self.path, unfinished(self.path)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _take(self, k, run):
        part = _encoded(run, self._several)
        with self._lock:
            self._parts[k] = part
            self._new = True

    def _write(self):
        """Write all parts; whether that was possible."""
        try:
            write(self.path, self._header, self._begin, self._parts)
            return True
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"the checkpoint {self.path!r} cannot be written: {error}. The fit goes on, "
                    "and tries again; what was written before is kept",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return False


def _encoded(value, copied=False):
    """Tree and arrays of a value."""
    encoder = Encoder(REGISTERED)
    tree = encoder.tree(value)
    arrays = [np.array(one) for one in encoder.arrays] if copied else encoder.arrays
    return tree, arrays


def unfinished(path):
    """Where a file is written before it is put in its place."""
    return f"{path}.unfinished-fastgd"  # a name that nobody else gives: what is there is removed


def write(path, header, begin, parts):
    """Write a checkpoint, in place of what was there; OSError leaves that as it was."""
    arrays: list[np.ndarray] = []

    def placed(part):
        if part is None:
            return None
        tree, own = part
        numbers = list(range(len(arrays), len(arrays) + len(own)))
        arrays.extend(one if one.flags.forc else np.ascontiguousarray(one) for one in own)
        return {"tree": tree, "arrays": numbers}

    document = {**header, "begin": placed(begin), "targets": [placed(one) for one in parts]}
    encoded = json.dumps(document, allow_nan=False).encode()
    temporary = unfinished(path)
    try:
        with open(temporary, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.comment = _hash(encoded, arrays)
                archive.writestr(HEADER, encoded)
                for number, array in enumerate(arrays):
                    with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _bring_folder_to_disk(os.path.dirname(os.path.abspath(path)))


def _hash(encoded, arrays):
    """What tells header and arrays from others: of 100 MB in 0.05 of the 1 s that writing takes."""
    return hash_of([np.frombuffer(encoded, np.uint8), *arrays]).encode()


def _bring_folder_to_disk(folder):
    """Let the new name of a file survive a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path):
    """Header, `begin` and runs of a checkpoint, or None where there is no file.

    Raises
    ------
    ValueError
        For a file that is no checkpoint, is damaged, or of another version.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            encoded = archive.read(HEADER)
            header = json.loads(encoded)
            _check_version(path, header)
            arrays = [_array(archive, number) for number in range(len(archive.namelist()) - 1)]
            if archive.comment != _hash(encoded, arrays):
                raise ValueError("its contents are not those that were written")
            begin = _decoded(arrays, header["begin"])
            runs = [_decoded(arrays, one) for one in header["targets"]]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"the checkpoint {path!r} cannot be read: {error}") from error
    except OtherVersion as error:
        raise ValueError(str(error)) from None
    except DAMAGED as error:
        raise ValueError(
            f"{path!r} is no checkpoint of fastgd, or is damaged ({error}); {instead()}"
        ) from error
    complete = isinstance(header.get("fit"), dict) and isinstance(begin, dict)
    complete = complete and begin.keys() >= {"random_state", "memory"}
    complete = complete and all(len(begin.get(name, ())) == len(runs) for name in OF_TARGETS)
    if not complete or not all(one is None or isinstance(one, Run | SavedRun) for one in runs):
        raise ValueError(f"{path!r} is damaged: parts are missing; {instead()}")
    return header, begin, runs


class OtherVersion(Exception):
    """A checkpoint of another version."""


def _check_version(path, header):
    if header["format"] != FORMAT:
        raise ValueError("of another format")
    for name, known in version_of_files().items():
        if header[name] != known:
            raise OtherVersion(
                f"the checkpoint {path!r} is of another version: {name} was {header[name]} there "
                f"and is {known} here; {instead()}, or fit with the version that wrote it"
            )


def version_of_files():
    """What a header tells of versions."""
    from fastgd import __version__

    return {"version": VERSION, "package": __version__}


def instead():
    """What to do about a file that is of no use, in words."""
    return "delete the file or choose another path to begin anew"


def _decoded(arrays, part):
    if part is None:
        return None
    own = [arrays[number] for number in part["arrays"]]
    return Decoder(REGISTERED, own).value(part["tree"])


def _array(archive, number) -> Any:
    with archive.open(f"{number}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # up to the end, where the sum over all bytes is compared
            raise ValueError(f"array {number} is too long")
    return array
