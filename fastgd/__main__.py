"""`python -m fastgd warmup`, `cache` or `versions`: compile, show the cache, what is installed."""

import argparse
import platform


def main(arguments=None):
    """Run one of the commands; `python -m fastgd -h` lists them."""
    parser = argparse.ArgumentParser(prog="python -m fastgd", description=__doc__)
    parser.add_argument(
        "command",
        choices=("warmup", "cache", "versions"),
        help="compile what a first fit needs | where compiled code is kept | versions",
    )
    {"warmup": _warmup, "cache": _cache, "versions": _versions}[
        parser.parse_args(arguments).command
    ]()


def _warmup():
    from fastgd.warm_up import warmup

    warmup()
    _cache()


def _cache():
    from fastgd.runtime.jit import cache_folder

    folder = cache_folder()
    if folder is None:
        print("compiled code is not kept: no folder can be written to, or FASTGD_CACHE=0")
        return
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{folder}: {len(files)} files, {size:.1f} MB")


def _versions():
    import numba
    import numpy
    import scipy
    import sklearn

    import fastgd

    for name, version in (
        ("fastgd", fastgd.__version__),
        ("python", platform.python_version()),
        *((module.__name__, module.__version__) for module in (numba, numpy, scipy, sklearn)),
    ):
        print(f"{name} {version}")


if __name__ == "__main__":
    main()
