"""Least squares from streamed Gram matrices."""

import contextlib
import functools
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

# Rows of one product: few enough for single precision to add up, enough to be fast.
_ROWS = 4000
# Below so many features a product is over before the threads of BLAS have met: where other
# processes want the cores, waiting for each other made it ten times slower.
_MANY_FEATURES = 1000
# From so many on single precision takes half the time; of fewer it is not worth its rounding.
_SINGLE_FEATURES = 500
# Eigenvalues of a Gram matrix are squares of singular values: this is 1e-6 of the largest of those.
_SMALLEST_EIGENVALUE = 1e-12
# Of a matrix to be solved with, which is copied once.
MOST_BYTES = 8 * 2**30
# A smaller ridge would be below the rounding of single precision.
_RIDGE_OF_SINGLE = 1e-5


class NormalEquations:
    """`min ||features @ solution - targets||^2` near a prior, added up block by block.

    Memory is `O(num_features^2)`, whatever the number of rows; blocks may come in any order. What
    is added up, in float64, is what the prior misses: of 500 features or more, with a ridge of
    1e-5 or more, the products of one block can then be computed in float32, twice as fast. Their
    rounding acts like a ridge a hundred times smaller than one of 1e-4, and a prior that misses
    nothing stays. All else is float64.

    Minimises the mean squared error plus `ridge * mean squared feature * ||solution - prior||^2`.
    Where the features say nothing (dead units, duplicates, fewer rows than features) the solution
    stays at the prior; a prior without error is the solution for every ridge.

    Args:
        prior: Shape `(num_features, num_targets)`.
        ridge: Dimensionless, at least 0. Below 1e-12, directions whose singular value is below a
            millionth of the largest count as absent: with a prior of zeros, the truncated
            pseudo-inverse.
        name: What an error calls them.

    Attributes:
        num_rows: Rows added so far.
    """

    def __init__(self, prior: NDArray, ridge: float, name: str = "least squares"):
        self.name = name
        self.ridge = ridge
        self.prior = np.asarray(prior, "float64")
        num_features = len(self.prior)
        # Column-major, so that BLAS adds in place.
        self.gram = np.zeros((num_features, num_features), order="F")
        self.missing = np.zeros(self.prior.shape)
        self.num_rows = 0
        self._single: NDArray | None = None
        if ridge >= _RIDGE_OF_SINGLE and num_features >= _SINGLE_FEATURES:
            self._single = np.zeros_like(self.gram, "float32", order="F")
        dtype = "float64" if self._single is None else "float32"
        self._features = np.empty((_ROWS, num_features), dtype)
        self._targets = np.empty((_ROWS, self.prior.shape[1]), dtype)
        self._num_waiting = 0

    def add(self, features: NDArray, targets: NDArray) -> None:
        """Add rows.

        Args:
            features: Shape `(rows, num_features)`.
            targets: Shape `(rows, num_targets)`.

        Raises:
            ValueError: If one of them is not finite.
        """
        check_finite_rows(self.name, features, targets)
        begin = 0
        while begin < len(features):
            count = min(len(features) - begin, _ROWS - self._num_waiting)
            place = slice(self._num_waiting, self._num_waiting + count)
            self._features[place] = features[begin : begin + count]
            self._targets[place] = targets[begin : begin + count]
            self._num_waiting += count
            self.num_rows += count
            begin += count
            if self._num_waiting == _ROWS:
                self._multiply()

    def _multiply(self) -> None:
        """Add up the rows that wait: a product of many rows at once is several times faster."""
        block = self._features[: self._num_waiting]
        missed = self._targets[: self._num_waiting] - block @ self.prior.astype(block.dtype)
        self._num_waiting = 0
        with _threads_for(len(self.gram)):
            self._add(block, missed)

    def _add(self, block: NDArray, missed: NDArray) -> None:
        self.missing += block.T @ missed
        # block.T is the same memory, column-major: nothing is copied.
        if self._single is None:
            self.gram = scipy.linalg.blas.dsyrk(
                1.0, block.T, beta=1.0, c=self.gram, lower=1, overwrite_c=1
            )
        else:
            self._single = scipy.linalg.blas.ssyrk(
                1.0, block.T, beta=0.0, c=self._single, lower=1, overwrite_c=1
            )
            self.gram += self._single

    def solve(self) -> NDArray[np.float64]:
        """The solution, shape `(num_features, num_targets)`."""
        if self._num_waiting:
            self._multiply()
        with _threads_for(len(self.gram)):
            return self._solve()

    def _solve(self) -> NDArray[np.float64]:
        return self.prior + _solution(self.gram, self.missing, self.ridge, len(self.gram))


class RowEquations:
    """The same as `NormalEquations`, for few rows of many features: rows are kept, and solved for.

    The solution is the prior and a mixture of the rows, `features.T @ weights`, so that a matrix of
    rows by rows takes the place of the Gram matrix of features.

    Args:
        prior: See `NormalEquations`.
        ridge: Likewise.
        name: Likewise.
    """

    def __init__(self, prior: NDArray, ridge: float, name: str = "least squares"):
        self.name, self.ridge = name, ridge
        self.prior = np.asarray(prior, "float64")
        self._features: list[NDArray] = []
        self._missing: list[NDArray] = []

    def add(self, features: NDArray, targets: NDArray) -> None:
        """See `NormalEquations`."""
        check_finite_rows(self.name, features, targets)
        self._features.append(np.array(features))
        self._missing.append(targets - features.astype("float64") @ self.prior)

    def solve(self) -> NDArray[np.float64]:
        """See `NormalEquations`."""
        features = np.concatenate(self._features)
        num_rows, num_features = features.shape
        parts = [slice(begin, begin + _ROWS) for begin in range(0, num_features, _ROWS)]
        products = np.zeros((num_rows, num_rows), order="F")
        for part in parts:
            some = features[:, part].astype("float64")
            products += some @ some.T
        weights = _solution(products, np.concatenate(self._missing), self.ridge, num_features)
        return self.prior + np.concatenate([features[:, part].T @ weights for part in parts])


def are_few(num_rows: int, num_features: int) -> bool:
    """Whether so many rows of so many features are for `RowEquations`."""
    return num_features >= _MANY_FEATURES and 2 * num_rows <= num_features


def gram_size(num_rows: int, num_features: int) -> int:
    """Bytes of the matrix that is solved with."""
    size = num_rows if are_few(num_rows, num_features) else num_features
    return 8 * size**2


def _solution(gram: NDArray, missing: NDArray, ridge: float, num_features: int) -> NDArray:
    """`missing` divided by a positive matrix, of which the lower half is read, and a ridge."""
    if ridge > _SMALLEST_EIGENVALUE:
        system = gram.copy(order="F")
        system[np.diag_indices_from(system)] += max(ridge * gram.trace() / num_features, 1e-30)
        return scipy.linalg.solve(
            system, missing, lower=True, assume_a="pos", overwrite_a=True, check_finite=False
        )
    values, vectors = scipy.linalg.eigh(gram, lower=True, check_finite=False)
    kept = values > _SMALLEST_EIGENVALUE * max(values[-1], 0.0)
    vectors = vectors[:, kept]
    return vectors @ ((vectors.T @ missing) / values[kept, None])


def check_finite_rows(name: str, *rows: NDArray) -> None:
    """Check that features and what is made of them did not overflow.

    Args:
        name: Whose they are, for the error.
        *rows: The arrays.

    Raises:
        ValueError: If one of them is not finite.
    """
    if not all(np.isfinite(array).all() for array in rows):
        raise ValueError(
            f"The features of {name} are not finite: some weights or inputs are so large that "
            "activations overflow; look at the two networks, or scale the inputs."
        )


def _threads_for(num_features: int) -> contextlib.AbstractContextManager[Any]:
    if num_features >= _MANY_FEATURES:
        return contextlib.nullcontext()
    return _controller().limit(limits=1, user_api="blas")


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
