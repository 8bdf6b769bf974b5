"""What a fitted model says beyond its predictions: standard errors, leave-one-out."""
