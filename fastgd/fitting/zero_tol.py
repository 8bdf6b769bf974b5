"""tol=0 asks for all but rounding: what stands for it, and where it is met."""

# tol=0 is run with this tolerance, which rounding may not allow to be met.
MIN_TOL = 1e-14
# A fit with tol=0 counts as converged from here on, which rounding nearly always allows.
CONVERGED = 1e-12
# Once F no longer falls no other plan is tried from here on, and no warning given.
SETTLED = 1e-8
