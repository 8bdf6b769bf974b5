"""How far F can be above its minimum."""
