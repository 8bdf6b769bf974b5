"""`python -m fastgd warmup`, `cache` or `versions`: compile, show or clear the cache, what is
installed.
"""

import argparse


def main(arguments=None):
    """Run one of the commands; `python -m fastgd -h` lists them."""
    parser = argparse.ArgumentParser(prog="python -m fastgd", description=__doc__)
    parser.add_argument(
        "command",
        choices=("warmup", "cache", "versions"),
        help="compile what a first fit needs | where compiled code is kept | versions",
    )
    parser.add_argument("--clear", action="store_true", help="cache: remove the compiled code")
    given = parser.parse_args(arguments)
    if given.clear and given.command != "cache":
        parser.error("--clear goes with the command cache")
    if given.command == "warmup":
        _warmup()
    elif given.command == "cache":
        _cache(given.clear)
    else:
        _versions()


def _warmup():
    from fastgd.warm_up import warmup

    warmup()


def _cache(clear=False):
    from fastgd.runtime.jit import clear_cache
    from fastgd.versions import cache_in_words

    print(cache_in_words())
    if clear:
        print(f"{clear_cache()} files removed")


def _versions():
    from fastgd.versions import show_versions

    show_versions()


if __name__ == "__main__":
    main()
