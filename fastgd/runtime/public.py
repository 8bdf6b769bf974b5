"""The name by which users know a class."""

from typing import TypeVar

Class = TypeVar("Class", bound=type)


def public(cls: Class) -> Class:
    """Decorate a class of `fastgd.__all__`: its `__module__` is `fastgd`, wherever its file is.

    So representations and pickles say `fastgd.Huber`, and files can move. It is done where the
    class is made, not where `fastgd` hands it out on demand: compiled code is found again by the
    name of a class, which must not depend on who imports it first.

    Examples
    --------
    >>> @public
    ... class Tilted:
    ...     pass
    >>> Tilted.__module__
    'fastgd'
    """
    cls.__module__ = "fastgd"
    return cls
