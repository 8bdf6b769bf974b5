"""Newton's method in its forms."""
