"""Algorithms: how a state moves by one iteration.  One contract for all, in `base`.

`REGISTRY` holds those that `solver=` and `auto` can choose.  A new one is a file with its class,
and a line here.  One is left for the others in this order.
"""

from fastgd.solvers.base import Solver
from fastgd.solvers.dual.sdca import Sdca
from fastgd.solvers.gradient.accelerated import Accelerated
from fastgd.solvers.gradient.lbfgs import LBFGS
from fastgd.solvers.interior_point.central_path import CentralPath
from fastgd.solvers.interior_point.column_generation import ColumnGeneration
from fastgd.solvers.interior_point.row_generation import RowGeneration
from fastgd.solvers.l1.concave_set import ConcaveSet
from fastgd.solvers.l1.group_set import GroupSet
from fastgd.solvers.l1.vector_working_set import VectorWorkingSet
from fastgd.solvers.l1.working_set import WorkingSet
from fastgd.solvers.newton.cholesky import Newton
from fastgd.solvers.newton.column_subspace import SubspaceNewton
from fastgd.solvers.newton.elimination import Eliminating
from fastgd.solvers.newton.least_squares import LeastSquares
from fastgd.solvers.newton.newton_cg import NewtonCG
from fastgd.solvers.newton.proximal import ProximalNewton
from fastgd.solvers.newton.vector_blocks import BlockNewton
from fastgd.solvers.newton.vector_cholesky import VectorNewton
from fastgd.solvers.newton.vector_subspace import VectorSubspaceNewton
from fastgd.solvers.stochastic.automatic_rates import AutomaticRates
from fastgd.solvers.variance_reduced.saga import Saga
from fastgd.solvers.variance_reduced.svrg import Svrg

REGISTRY: tuple[type[Solver], ...] = (
    LeastSquares,
    Newton,
    VectorNewton,
    BlockNewton,
    SubspaceNewton,
    VectorSubspaceNewton,
    Eliminating,
    NewtonCG,
    ProximalNewton,
    WorkingSet,
    VectorWorkingSet,
    ConcaveSet,
    GroupSet,
    RowGeneration,
    CentralPath,
    ColumnGeneration,
    LBFGS,
    Sdca,
    Accelerated,
    AutomaticRates,
    Saga,
    Svrg,
)
