"""Tiles of NumPy: how much it is given at once, where more would leave the cache or ask for memory
of its own.

Kernels have tiles of their own (`fastgd.objective.blocks`).
"""

# Entries of vectors as long as there are rows, several of which are made from one another: 64 KB
# each.
ROWS = 1 << 13
# Values of X that are written to a buffer and multiplied there: 512 KB, which an L2 cache holds.
VALUES = 1 << 16
# Values of X that are looked at once, each tile for the price of a few calls: 2 MB.
STREAMED = 1 << 18
