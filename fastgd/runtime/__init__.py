"""Compiled code and threads; knows no mathematics."""
