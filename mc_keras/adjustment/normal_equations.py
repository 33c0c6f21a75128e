"""Least squares from streamed Gram matrices."""

import contextlib
import functools
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

_ROWS = 2000
# Below so many features a product is over before the threads of BLAS have met: where other
# processes want the cores, waiting for each other made it ten times slower.
_WORTH_THREADS = 1000
# Eigenvalues of a Gram matrix are squares of singular values: this is 1e-6 of the largest of those.
_SMALLEST_EIGENVALUE = 1e-12


class NormalEquations:
    """`min ||features @ solution - targets||^2`, added up block by block in float64.

    Memory is `O(num_features^2)`, whatever the number of rows; blocks may come in any order.

    Args:
        num_features: Columns of the features.
        num_targets: Columns of the targets.
        name: What an error calls them.

    Attributes:
        gram: `features.T @ features`; only its lower triangle is filled.
        products: `features.T @ targets`.
        squares: Sum of the squared targets.
        num_rows: Rows added so far.
    """

    def __init__(self, num_features: int, num_targets: int, name: str = "least squares"):
        self.name = name
        # Column-major, so that BLAS adds in place.
        self.gram = np.zeros((num_features, num_features), order="F")
        self.products = np.zeros((num_features, num_targets))
        self.squares = 0.0
        self.num_rows = 0

    def add(self, features: NDArray, targets: NDArray) -> None:
        """Add rows.

        Args:
            features: Shape `(rows, num_features)`.
            targets: Shape `(rows, num_targets)`.

        Raises:
            ValueError: If one of them is not finite.
        """
        if not (np.isfinite(features).all() and np.isfinite(targets).all()):
            raise ValueError(
                f"The features of {self.name} are not finite: some weights or inputs are so large "
                "that activations overflow; look at the two networks, or scale the inputs."
            )
        with _threads_for(len(self.gram)):
            self._add(features, targets)

    def _add(self, features: NDArray, targets: NDArray) -> None:
        for begin in range(0, len(features), _ROWS):
            block = np.asarray(features[begin : begin + _ROWS], "float64", order="C")
            goal = np.asarray(targets[begin : begin + _ROWS], "float64")
            # block.T is the same memory, column-major: nothing is copied.
            self.gram = scipy.linalg.blas.dsyrk(
                1.0, block.T, beta=1.0, c=self.gram, lower=1, overwrite_c=1
            )
            self.products += block.T @ goal
            self.squares += float(np.sum(np.square(goal)))
            self.num_rows += len(block)

    def solve(self, prior: NDArray, ridge: float) -> NDArray[np.float64]:
        """The solution nearest to `prior`.

        Minimises the mean squared error plus `ridge * mean squared feature * ||solution -
        prior||^2`. Where the features say nothing (dead units, duplicates, fewer rows than
        features) the solution stays at the prior; a prior without error is the solution for every
        ridge.

        Args:
            prior: Shape `(num_features, num_targets)`.
            ridge: Dimensionless, at least 0. At 0, directions whose singular value is below a
                millionth of the largest count as absent: with a prior of zeros, the truncated
                pseudo-inverse.
        """
        with _threads_for(len(self.gram)):
            return self._solve(np.asarray(prior, "float64"), ridge)

    def _solve(self, prior: NDArray, ridge: float) -> NDArray[np.float64]:
        upper = np.tril(self.gram, -1).T
        missing = self.products - np.tril(self.gram) @ prior - upper @ prior
        if ridge > 0:
            system = self.gram.copy(order="F")
            system[np.diag_indices_from(system)] += max(ridge * system.trace() / len(system), 1e-30)
            change = scipy.linalg.solve(
                system, missing, lower=True, assume_a="pos", overwrite_a=True, check_finite=False
            )
        else:
            values, vectors = scipy.linalg.eigh(self.gram, lower=True, check_finite=False)
            kept = values > _SMALLEST_EIGENVALUE * max(values[-1], 0.0)
            vectors = vectors[:, kept]
            change = vectors @ ((vectors.T @ missing) / values[kept, None])
        return prior + change

    def squared_error(self, solution: NDArray) -> float:
        """`||features @ solution - targets||^2`, without another pass over the data."""
        whole = np.tril(self.gram) + np.tril(self.gram, -1).T
        quadratic = np.sum(solution * (whole @ solution))
        return max(float(self.squares - 2 * np.sum(solution * self.products) + quadratic), 0.0)


def _threads_for(num_features: int) -> contextlib.AbstractContextManager[Any]:
    if num_features >= _WORTH_THREADS:
        return contextlib.nullcontext()
    return _controller().limit(limits=1, user_api="blas")


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
