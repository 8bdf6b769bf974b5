"""What comes in: rows, targets, and everything that can be wrong with them."""
