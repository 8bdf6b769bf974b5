"""`python -m fastgd warmup`, `cache` and `versions`."""

import argparse

ABOUT = "Compiled code of fastgd on this machine, and what to tell in a report of a problem."
ENDING = "python -m fastgd COMMAND -h explains a command."


def main(arguments=None):
    """Run one of the commands; `python -m fastgd -h` lists them."""
    parser = argparse.ArgumentParser(prog="python -m fastgd", description=ABOUT, epilog=ENDING)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    _add(
        commands,
        "warmup",
        "compile what first fits need, for images and services",
        "Compile what first fits need into the cache folder, and print what and where: about a "
        "minute where nothing is compiled yet. fastgd.warmup() takes fewer losses, or float32 too.",
    )
    cache = _add(
        commands,
        "cache",
        "where compiled code is kept, and how much; --clear removes it",
        "Print folder, files and size of the compiled code. The environment variable "
        "FASTGD_CACHE=0 switches it off, NUMBA_CACHE_DIR moves it.",
    )
    cache.add_argument(
        "--clear",
        action="store_true",
        help="remove the compiled code, of other versions of fastgd too: the next fits compile",
    )
    _add(
        commands,
        "versions",
        "versions, threads and cache folder",
        "Print versions of Python and packages, threads and cache folder: fastgd.show_versions().",
    )
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.exit(2, parser.format_help())
    elif given.command == "warmup":
        _warmup()
    elif given.command == "cache":
        _cache(given.clear)
    else:
        _versions()


def _add(commands, name, summary, description):
    return commands.add_parser(name, help=summary, description=description)


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
