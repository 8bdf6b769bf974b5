"""Stochastic steps whose noise vanishes at the optimum."""
