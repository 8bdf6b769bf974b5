"""tol=0 asks for all but rounding: what stands for it, and where it is met."""

# What a run is given in its place: rounding may leave that.
LEAST = 1e-14
# Such a fit has converged here, which rounding nearly always leaves.
CONVERGED = 1e-12
# Once F no longer falls no other plan is tried from here on, and no warning given.
SETTLED = 1e-8
