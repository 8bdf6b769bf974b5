"""Instructions on words of 64 bits that Numba has no name for: zeros above the first 1, the whole
product of two words, and a word as the double whose bits it has.
"""

import numpy as np
from numba import config, types
from numba.extending import intrinsic


def _zeros_above(typing_context, word):
    def generate(context, builder, signature, arguments):
        from llvmlite import ir

        return builder.ctlz(arguments[0], ir.IntType(1)(0))

    return types.int64(types.uint64), generate


def _full_product(typing_context, a, b):
    def generate(context, builder, signature, arguments):
        from llvmlite import ir

        word, both = ir.IntType(64), ir.IntType(128)
        product = builder.mul(*(builder.zext(one, both) for one in arguments))
        high = builder.trunc(builder.lshr(product, both(64)), word)
        return context.make_tuple(
            builder, signature.return_type, [high, builder.trunc(product, word)]
        )

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), generate


def _double_of(typing_context, word):
    def generate(context, builder, signature, arguments):
        from llvmlite import ir

        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), generate


def _zeros_above_in_python(word):
    return 64 - int(word).bit_length()


def _product_in_python(a, b):
    product = int(a) * int(b)
    return np.uint64(product >> 64), np.uint64(product & (1 << 64) - 1)


def _double_in_python(word):
    return float(np.uint64(word).view(np.float64))


# zeros_above(word): bits above the first 1, 64 of 0. full_product(a, b): the high word and the low
# one. double_of(word).
zeros_above, full_product, double_of = (
    (_zeros_above_in_python, _product_in_python, _double_in_python)
    if config.DISABLE_JIT
    else map(intrinsic, (_zeros_above, _full_product, _double_of))
)
