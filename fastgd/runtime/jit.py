"""The decorator that makes kernels: Numba's flags, and a disk cache of our own.

Numba's own cache looks at one source file only, keeps one index for all specialisations of a
function (two processes that write it at once may swap their code), fails at import where nothing
can be written, and raises on a damaged file. Ours has a file per specialisation, named by
everything that its machine code depends on, in a folder per version:

    <user's cache folder>/fastgd/<hash of sources, versions and compile flags>/<function>-<hash>.nbc

`NUMBA_CACHE_DIR` takes the place of the user's cache folder; `FASTGD_CACHE=0` switches the cache
off.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, overload

import llvmlite
import numba
import numpy as np
from llvmlite.binding import address_of_symbol
from numba import config, extending, njit, types
from numba.core.compiler import Compiler, CompileResult
from numba.core.errors import NumbaIRAssumptionWarning
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from fastgd.runtime.announce import announcement
from fastgd.runtime.clock import clock
from fastgd.runtime.compile_errors import in_one_line
from fastgd.runtime.component import ComponentType
from fastgd.runtime.fingerprint import current_stamp, fingerprint, is_ours
from fastgd.runtime.uncollected import pause

Function = TypeVar("Function", bound=Callable[..., Any])

# No nnan and ninf: isfinite(nan) would be true. No arcp and afn: they change results and buy
# nothing. No reassoc: a sum over a dense row would differ from that over a sparse one, and gathers
# get slower (CSR 289-340 against 211-238).
STRICT = frozenset({"contract", "nsz"})
RELAXED = STRICT | {"reassoc"}

# Caches of other versions go 30 days after they were last used, and all but the last eight an hour
# after.
KEPT_DAYS = 30
KEPT_FOLDERS = 8

# What in numba.config changes machine code; the processor in use is in the key of every file
# besides.
_FLAGS = (
    *(
        "BOUNDSCHECK",
        "CPU_FEATURES",
        "CPU_NAME",
        "DEBUGINFO_DEFAULT",
        "DEBUG_NRT",
        "DISABLE_INTEL_SVML",
        "ENABLE_AVX",
    ),
    *(
        "ENABLE_PROFILING",
        "ENABLE_SYS_MONITORING",
        "EXTEND_VARIABLE_LIFETIMES",
        "JIT_COVERAGE",
        "LLVM_REFPRUNE_FLAGS",
    ),
    *("LLVM_REFPRUNE_PASS", "LOOP_VECTORIZE", "NRT_STATS", "OPT", "SLP_VECTORIZE", "USING_SVML"),
)

_log = logging.getLogger("fastgd")


@overload
def kernel(function: Function) -> Function: ...
@overload
def kernel(*, relaxed: bool = False) -> Callable[[Function], Function]: ...
def kernel(function: Any = None, *, relaxed: bool = False) -> Any:
    """Compiled function: built at its first call for the types it is called with, from then on
    loaded from disk.

    It releases the GIL, divides by zero as NumPy does, and keeps the order of sums and the meaning
    of NaN. With `NUMBA_DISABLE_JIT=1` it is the plain function.

    Parameters
    ----------
    function : callable
        Plain Python in Numba's subset; arguments may be components.
    relaxed : bool
        Let sums be reordered, so that they vectorise: for dot products of dense rows, and nothing
        else.

    Examples
    --------
    >>> @kernel
    ... def halve(x):
    ...     return 0.5 * x
    >>> halve(3.0)
    1.5
    """
    if function is None:
        return functools.partial(kernel, relaxed=relaxed)
    if config.DISABLE_JIT:
        return function
    fastmath = set(RELAXED if relaxed else STRICT)
    # The C wrapper, for calls through function pointers, is a twelfth of the compile time.
    options = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": fastmath,
        "no_cfunc_wrapper": True,
    }
    dispatcher = njit(pipeline_class=_Compiler, **options)(function)
    dispatcher._cache = _Cache(dispatcher)
    dispatcher._compile_for_args = functools.partial(_compile, dispatcher._compile_for_args)
    return dispatcher


def _compile(compile_for_args: Callable[..., Any], *arguments: Any) -> Any:
    """Compile a kernel for these arguments, or load it; a user's method that cannot be compiled is
    a ValueError of one line.
    """
    try:
        with announcement.call(), pause.here(), clock.stands():
            return compile_for_args(*arguments)
    except Exception as error:  # not only Numba's own: the compiler also fails by assertion
        kinds = _components(tuple(numba.typeof(one) for one in arguments))
        classes = {kind.python_class for kind in kinds if not is_ours(kind.python_class)}
        told = in_one_line(error, classes)
        if told is None:
            raise
        raise ValueError(told) from None


def callee(function: Function) -> Function:
    """Function that kernels call compiled, as if it were one, and that is plain Python for everyone
    else.

    So a number or two that Python asks for are not worth a compile of their own. It is inlined
    however long it is: a loop that calls something goes one row at a time (36 ns a row of Gamma,
    inlined 7; a binomial one 75, now 16), and compiling takes no longer.
    """
    return extending.register_jitable(error_model="numpy", fastmath=set(STRICT), forceinline=True)(
        function
    )


class _Compiler(Compiler):
    """Numba's compiler, without its warning about methods that are inlined twice into one kernel.

    In the second copy Numba 0.68 keeps one name for all assignments to a variable, instead of one
    for each, and warns that the variable "is not in scope". Either is right; only, a variable must
    not change its type.
    """

    def compile_extra(self, func: Any) -> Any:
        """Compile a kernel, with what it inlines."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NumbaIRAssumptionWarning)
            return super().compile_extra(func)


class _Cache:
    """Disk cache of one kernel; Numba's dispatcher asks it, under its lock, before and after a
    compile.
    """

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._keys: dict[str, str | None] = {}

    @property
    def cache_path(self) -> str | None:
        """Folder of the machine code; None where there is no cache."""
        folder = cache_folder()
        return str(folder) if folder else None

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Compiled kernel for the types of the arguments, or None."""
        key = self._keys[str(signature)] = self._key(signature, target.codegen())
        path = self._path(key)
        if path is not None:
            _touch(path.parent)
            try:
                return _read(path, target)
            except OSError:
                pass  # not there, or not for us to read
            except Exception as error:
                # Whatever a damaged file leads to, it must cost a compile and no more.
                _log.info("removing %s: %r", path, error)
                _unlink(path)
        _log.info("compiling %s", self._dispatcher.py_func.__qualname__)
        announcement.compiling()
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a kernel just compiled."""
        key = self._key(signature, compiled.codegen)
        if key != self._keys.pop(str(signature), None):
            # a constant that a method reads changed meanwhile: which one was compiled, nobody knows
            return
        path = self._path(key)
        if path is None or compiled.lifted or compiled.library.has_dynamic_globals:
            return
        try:
            _write(path, compiled)
        except OSError as error:
            _warn_once(f"{path.parent} cannot be written ({error.strerror})")

    def flush(self) -> None:
        """Remove what is kept of this kernel, as Numba's `recompile` asks."""
        folder = cache_folder()
        for path in folder.glob(f"{self._stem()}-*.nbc") if folder else ():
            _unlink(path)

    def _key(self, signature: Any, codegen: Any) -> str | None:
        """Text of all that the machine code depends on and the folder's name does not show."""
        function = self._dispatcher.py_func
        if any(current_stamp(part.python_class) != part.stamp for part in _components(signature)):
            return None
        where = f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}"
        code = fingerprint(self._dispatcher)
        return "\n".join(
            [
                where,
                code,
                str(signature),
                repr(codegen.magic_tuple()),
                str(sys.implementation.cache_tag),
            ]
        )

    def _path(self, key: str | None) -> Path | None:
        folder = cache_folder()
        return folder / f"{self._stem()}-{_hash(key)}.nbc" if folder and key else None

    def _stem(self) -> str:
        return re.sub(r"\W", "_", self._dispatcher.py_func.__qualname__)


def _read(path: Path, target: Any) -> CompileResult:
    """Compiled kernel that `_write` left in a file, ready to be called."""
    data = path.read_bytes()
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        raise EOFError("it is not what was written")
    symbols, parts = pickle.loads(data[32:])
    rtsys.initialize(target)
    # Registering all that Numba can compile is half of a first fit from the cache, 0.12 s; done
    # only where the code calls what is not there otherwise, as LLVM ends the process that links it.
    if not all(address_of_symbol(name) for name in symbols):
        target.refresh()
    return CompileResult._rebuild(target, *parts)


def _write(path: Path, compiled: Any) -> None:
    """Keep a compiled kernel with the names of the symbols it is linked to; a reader sees all of
    the file or none.
    """
    module = compiled.library._final_module
    outside = [
        part.name for part in (*module.functions, *module.global_variables) if part.is_declaration
    ]
    # Those are the compiler's own.
    symbols = [name for name in outside if not name.startswith("llvm.")]
    data = dumps((symbols, compiled._reduce()))
    temporary = path.with_suffix(f".{os.urandom(8).hex()}.tmp")
    try:
        _prepare(path.parent)
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        os.replace(temporary, path)
    except OSError:
        _unlink(temporary)
        # Windows replaces no file that another process is reading, which holds the same code.
        if not path.is_file():
            raise


def _components(kind: Any) -> Iterator[ComponentType]:
    """Component types among the types of arguments, in tuples and in fields too."""
    if isinstance(kind, ComponentType):
        yield kind
        kind = tuple(field_type for _, field_type in kind.fields)
    if isinstance(kind, types.BaseTuple | tuple):
        for part in kind:
            yield from _components(part)


def cache_folder() -> Path | None:
    """Folder of the machine code for these sources, versions and flags; None where there is no
    cache.
    """
    if os.environ.get("FASTGD_CACHE") == "0":
        return None
    root = Path(config.CACHE_DIR) if config.CACHE_DIR else _user_cache()
    if root is None:
        _warn_once("no home folder")
        return None
    flags = [f"{name}={getattr(config, name, None)!s}" for name in _FLAGS]
    versions = [numba.__version__, llvmlite.__version__, np.__version__]
    return root / "fastgd" / _hash("\n".join([_source_hash(), *versions, *flags]))


def clear_cache() -> int:
    """Remove the compiled code of these sources and of all others beside it; the number of files.

    Only what the cache itself wrote is removed: files of machine code, and folders that are empty
    then.
    """
    folder = cache_folder()
    if folder is None or not folder.parent.is_dir():
        return 0
    ours = [one for one in folder.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", one.name)]
    files = [path for one in ours for path in [*one.glob("*.nbc"), *one.glob("*.tmp")]]
    for path in files:
        _unlink(path)
    for one in ours:
        with contextlib.suppress(OSError):
            one.rmdir()
    return len(files)


def _user_cache() -> Path | None:
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        root = os.path.expanduser("~/Library/Caches")
    else:
        root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) if os.path.isabs(root) else None


@functools.cache
def _source_hash() -> str:
    """Hash of all source files of the package, so that an upgrade leaves a folder that can be
    pruned whole.
    """
    folder = Path(__file__).parents[1]
    return _hash(
        *(
            part
            for path in sorted(folder.rglob("*.py"))
            for part in (str(path.relative_to(folder)), path)
        )
    )


def _hash(*parts: str | Path) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
    return digest.hexdigest()[:16]


@functools.cache
def _warn_once(reason: str) -> None:
    _log.warning(
        "no cache of compiled kernels: %s. Each process compiles them anew; set NUMBA_CACHE_DIR "
        "to a folder that can be written, or FASTGD_CACHE=0 to silence this.",
        reason,
    )


@functools.cache
def _touch(folder: Path) -> None:
    """Note that the folder is in use."""
    with contextlib.suppress(OSError):  # not there yet, or baked into an image
        os.utime(folder)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _prepare(folder: Path) -> None:
    """Make the folder; when it is new, remove those of its kind that are not in use any more."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    used = {
        path: path.stat().st_mtime
        for path in folder.parent.iterdir()
        if re.fullmatch("[0-9a-f]{16}", path.name)
    }
    used.pop(folder, None)
    for rank, path in enumerate(sorted(used, key=lambda path: -used[path])):
        hours = (time.time() - used[path]) / 3600
        if hours > 24 * KEPT_DAYS or (rank >= KEPT_FOLDERS and hours > 1):
            shutil.rmtree(path, ignore_errors=True)
