"""Values of known classes as JSON and arrays, and back: nothing that is read chooses code to run.

None, bools, strings, ints and finite floats are themselves; all else is a JSON object with one key:

    {"float": "nan"}                     "nan", "inf" or "-inf"
    {"list": [...]}, {"tuple": [...]}    their items
    {"dict": [[key, value], ...]}
    {"numbers": a, "types": "fni"}       a list of at least four floats ("f"), NumPy floats ("n")
                                         and ints ("i"), as array a; of one letter it is all
    {"array": a}                         array a
    {"scalar": a}                        the NumPy scalar in array a, which has no dimension
    {"bytes": "00ff"}
    {"generator": "PCG64", "state": ...} a Generator by the state of its bit generator
    {"random_state": ...}                a RandomState by its state
    {"csr": [data, indices, indptr], "shape": [m, n]}
    {"class": name, "values": {...}}     an instance of a class of the registry, by its attributes
    {"enum": name, "member": "CONVERGED"}
    {"same": k}                          what was number k of the arrays, lists, dicts and
                                         instances, counted as they begin

What is one object comes back as one: `a is b` holds afterwards where it held before.
"""

import enum
import math

import numpy as np
import scipy.sparse as sp

BIT_GENERATORS = {
    one.__name__: one
    for one in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}
# From so many numbers on a list is kept as an array.
MANY = 4
LETTERS = {float: "f", np.float64: "n", int: "i"}
# Ints up to this are floats without rounding.
MAX_INT = 2**53


class Registry:
    """The classes whose instances may be kept, by the names that they have in files.

    Parameters
    ----------
    classes : dict
        Names and classes: dataclasses, named tuples, enums, and plain classes whose attributes are
        all there is to them.
    left_out : dict, optional
        Class and names of attributes that are not kept: whoever reads them sets them anew.
    """

    def __init__(self, classes, left_out=None):
        self.classes = dict(classes)
        self.names = {one: name for name, one in self.classes.items()}
        self.left_out = left_out or {}

    def attributes(self, value):
        """What is kept of an instance: names and values."""
        if isinstance(value, tuple):
            return dict(zip(type(value)._fields, value, strict=True))  # type: ignore[attr-defined]
        left_out = self.left_out.get(type(value), ())
        return {name: one for name, one in vars(value).items() if name not in left_out}


class Encoder:
    """Turns values into JSON trees, and gathers their arrays.

    Parameters
    ----------
    registry : Registry

    Examples
    --------
    >>> encoder = Encoder(Registry({}))
    >>> encoder.tree([1, np.zeros(2), None])
    {'list': [1, {'array': 0}, None]}
    >>> encoder.arrays
    [array([0., 0.])]
    """

    def __init__(self, registry):
        self.registry = registry
        self.arrays: list[np.ndarray] = []
        self._numbers: dict[int, int] = {}
        self._alive: list = []  # else an id might be another's

    def tree(self, value):
        """The JSON tree of a value; TypeError where it is of no known class."""
        if value is None or type(value) in (bool, str, int):
            return value
        if isinstance(value, enum.Enum):
            return {"enum": self._name(value), "member": value.name}
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value))}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return {"tuple": [self.tree(one) for one in value]}
        if id(value) in self._numbers:
            return {"same": self._numbers[id(value)]}
        if not isinstance(value, tuple):
            self._numbers[id(value)] = len(self._numbers)
            self._alive.append(value)
        return self._whole(value)

    def _whole(self, value):
        if isinstance(value, np.ndarray):
            return {"array": self._array(np.asarray(value))}
        if type(value) is list:
            return self._list(value)
        if type(value) is dict:
            return {"dict": [[self.tree(key), self.tree(one)] for key, one in value.items()]}
        if isinstance(value, np.random.Generator):
            state = value.bit_generator.state
            return {"generator": state["bit_generator"], "state": self.tree(state)}
        if isinstance(value, np.random.RandomState):
            return {"random_state": self.tree(value.get_state(legacy=False))}
        if isinstance(value, sp.csr_array):
            parts = [self.tree(one) for one in (value.data, value.indices, value.indptr)]
            return {"csr": parts, "shape": [int(one) for one in value.shape]}
        known = self.registry.attributes(value) if type(value) in self.registry.names else {}
        values = {name: self.tree(one) for name, one in known.items()}
        return {"class": self._name(value), "values": values}

    def _list(self, value):
        kinds = {type(one) for one in value}
        if len(value) < MANY or not kinds <= LETTERS.keys():
            return {"list": [self.tree(one) for one in value]}
        if int in kinds and max(abs(one) for one in value if type(one) is int) > MAX_INT:
            return {"list": [self.tree(one) for one in value]}
        letters = "".join(LETTERS[type(one)] for one in value)
        array = self._array(np.array(value, dtype=np.float64))
        return {"numbers": array, "types": letters[0] if len(kinds) == 1 else letters}

    def _array(self, array):
        if array.dtype.hasobject:
            raise TypeError("an array of objects cannot be kept")
        self.arrays.append(array)
        return len(self.arrays) - 1

    def _name(self, value):
        name = self.registry.names.get(type(value))
        if name is None:
            raise TypeError(f"a {type(value).__qualname__} cannot be kept")
        return name


class Decoder:
    """Turns JSON trees and arrays back into values.

    Parameters
    ----------
    registry : Registry
    arrays : list of ndarray
        They become parts of the values.

    Examples
    --------
    >>> Decoder(Registry({}), [np.zeros(2)]).value({"tuple": [{"float": "inf"}, {"array": 0}]})
    (inf, array([0., 0.]))
    """

    def __init__(self, registry, arrays):
        self.registry = registry
        self.arrays = arrays
        self._seen: list = []

    def value(self, tree):
        """The value of a tree; ValueError for what is none."""
        if tree is None or isinstance(tree, bool | str | int | float):
            return tree
        if not isinstance(tree, dict) or not tree:
            raise ValueError(f"{type(tree).__name__} is no value")
        kind = next(iter(tree))
        read = getattr(self, f"_read_{kind}", None) if kind in KINDS else None
        if read is None:
            raise ValueError(f"{kind!r} is no kind of value")
        try:
            return read(tree)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"a {kind} that is none: {error!r}") from error

    def _noted(self, value):
        self._seen.append(value)
        return value

    def _read_float(self, tree):
        return float(tree["float"])

    def _read_bytes(self, tree):
        return bytes.fromhex(tree["bytes"])

    def _read_same(self, tree):
        return self._seen[tree["same"]]

    def _read_tuple(self, tree):
        return tuple(self.value(one) for one in tree["tuple"])

    def _read_scalar(self, tree):
        return self.arrays[tree["scalar"]][()]

    def _read_array(self, tree):
        return self._noted(self.arrays[tree["array"]])

    def _read_list(self, tree):
        found = self._noted([])
        found.extend(self.value(one) for one in tree["list"])
        return found

    def _read_numbers(self, tree):
        array, types = self.arrays[tree["numbers"]], tree["types"]
        letters = types * array.size if len(types) == 1 else types
        make = {letter: kind for kind, letter in LETTERS.items()}
        numbers = zip(letters, array.tolist(), strict=True)
        return self._noted([make[letter](one) for letter, one in numbers])

    def _read_dict(self, tree):
        found = self._noted({})
        for key, one in tree["dict"]:
            key = self.value(key)  # in the order in which they were counted
            found[key] = self.value(one)
        return found

    def _read_generator(self, tree):
        place = self._place()
        bits = BIT_GENERATORS[tree["generator"]]()
        bits.state = self.value(tree["state"])
        self._seen[place] = np.random.Generator(bits)
        return self._seen[place]

    def _read_random_state(self, tree):
        place = self._place()
        self._seen[place] = found = np.random.RandomState()
        found.set_state(self.value(tree["random_state"]))
        return found

    def _read_csr(self, tree):
        place = self._place()
        parts = tuple(self.value(one) for one in tree["csr"])
        self._seen[place] = found = sp.csr_array(parts, shape=tuple(tree["shape"]))
        found.check_format(full_check=True)  # products with it do not ask
        return found

    def _read_class(self, tree):
        kind, trees = self.registry.classes[tree["class"]], tree["values"]
        if issubclass(kind, enum.Enum):
            raise ValueError("an enum has members")
        fields = getattr(kind, "__dataclass_fields__", trees)
        unknown = [name for name in trees if name not in fields]
        if unknown:
            raise ValueError(f"{tree['class']} has no {unknown[0]!r}")
        if issubclass(kind, tuple):
            return kind(**{name: self.value(one) for name, one in trees.items()})
        found = self._noted(kind.__new__(kind))
        for name, one in trees.items():
            found.__dict__[name] = self.value(one)
        return found

    def _read_enum(self, tree):
        kind = self.registry.classes[tree["enum"]]
        if not issubclass(kind, enum.Enum):
            raise ValueError(f"{tree['enum']} has no members")
        return kind[tree["member"]]

    def _place(self):
        """Room for a value whose parts are counted after it."""
        self._noted(None)
        return len(self._seen) - 1


KINDS = frozenset(
    name.removeprefix("_read_") for name in vars(Decoder) if name.startswith("_read_")
)
