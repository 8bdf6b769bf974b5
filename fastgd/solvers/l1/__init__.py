"""Proximal Newton on the columns that an L1 part leaves nonzero."""
