"""The engine: loss and metrics at many points of weight space, with shared work done once."""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mc_keras.batch_norm import BATCH_SIZE, BatchStatistics, has_batch_norm
from mc_keras.checkpoint import Arrays, Checkpoint
from mc_keras.evaluation.blocks import blocks_of, even_rows
from mc_keras.evaluation.division import DividedModel, Division
from mc_keras.evaluation.families import Family
from mc_keras.evaluation.groups import Plan, Weights, load, pad, plans_for
from mc_keras.evaluation.measures import Measures
from mc_keras.evaluation.sweep import Sweep
from mc_keras.progress import ProgressBar
from mc_keras.weight_space import WeightSpace

# Bytes of the largest tensor of one block; of half as many, where the products of a block are
# read again and again, so that they stay in the processor's cache.
_BLOCK_BYTES = 2**25
_FEWEST_ROWS, _MOST_ROWS = 64, 4096
# Numbers computed in a run from which on a compilation by XLA, about half a second, is repaid.
_WORTH_FUSING = 2e9
# The split whose inputs give the batch-norm statistics.
MOMENTS_SPLIT = "train"


class _Task(NamedTuple):
    """One sweep of a group of points over one split, for its measures or for its moments."""

    plan: Plan
    members: list[int]
    split: str
    moments: bool

    @property
    def numbers(self) -> list[int]:
        return [self.plan.family.numbers[m] for m in self.members]


class Engine:
    """Evaluates points of weight space on splits of data.

    The data are brought through the weight-free part of the network and cut into blocks once. One
    compiled step takes a block, computes what the points of a family share (the products of the
    first layer with each control point), and loops over the points.

    Args:
        space: Weight space of the architecture.
        splits: Split name to `(x, y)` arrays.
        measures: What is measured.
        families: The points, numbered from 0.
        batch_size: Most examples at once; `None` for what suits the network.
        reestimate: Whether batch-norm statistics are measured at every point.

    Raises:
        ValueError: If the batch size is no positive whole number, or two values would have one
            name.

    Attributes:
        rows: Examples in a block.
    """

    def __init__(
        self,
        space: WeightSpace,
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        measures: Measures,
        families: Sequence[Family],
        *,
        batch_size: int | None = None,
        reestimate: bool = True,
    ):
        if batch_size is not None and (
            not isinstance(batch_size, int | np.integer) or batch_size < 1
        ):
            raise ValueError(
                f"`batch_size` must be an integer of at least 1, or None, received {batch_size!r}."
            )
        names = collections.Counter(f"{s}_{name}" for s in splits for name in measures.names)
        if (double := names.most_common(1)[0])[1] > 1:
            raise ValueError(
                f"Two of the values to measure would be called '{double[0]}', after a split and "
                "what is measured on it: rename a split."
            )
        self._space = space
        self._sizes = {name: len(y) for name, (_, y) in splits.items()}
        self._measures = measures
        self._num_points = sum(len(family) for family in families)
        self._statistics: Any = None
        if reestimate and has_batch_norm(space.model):
            self._statistics = BatchStatistics(space.model)
        self._plans = plans_for(space, families, self._fixed_states(families))
        self.rows = self._suitable_rows() if batch_size is None else batch_size
        # Batch-norm statistics depend on the batches, and may not on which splits there are.
        if self._statistics is None:
            self.rows = even_rows(self.rows, list(self._sizes.values()))
        start = Division(start=self._plans[0].division.start)
        # It reads what is the same at all points.
        state = [tf.constant(array[0]) for array in families[0].states([0])]
        prefix = functools.partial(DividedModel(space, start).prefix, state)
        self._blocks = blocks_of(splits, self.rows, prefix)
        self._sweeps: dict[Any, Sweep] = {}
        self._loaded: tuple[Family, list[int], Weights] | None = None

    def run(self, checkpoint: Checkpoint, *, verbose: int = 0) -> dict[str, np.ndarray]:
        """Values at every point, by `"<split>_<name>"`, float64.

        Args:
            checkpoint: Where to continue from and to save to.
            verbose: 1 for a progress bar.

        Raises:
            ValueError: If the checkpoint is of another evaluation.
            OSError: If it cannot be written.
        """
        tasks = self._tasks()
        work = [len(task.members) * self._sizes[task.split] for task in tasks]
        cursor, arrays = checkpoint.load() or ({"task": 0, "block": 0}, self._initial())
        bar = ProgressBar("evaluating", sum(work[cursor["task"] :]), verbose=verbose)
        while cursor["task"] < len(tasks):
            self._carry_out(tasks[cursor["task"]], cursor, arrays, checkpoint, bar)
            cursor = {"task": cursor["task"] + 1, "block": 0}
        self._loaded = None
        checkpoint.save(cursor, arrays)
        return {
            f"{split}_{name}": values
            for split in self._sizes
            for name, values in zip(
                self._measures.names, self._measures.results(arrays[f"of {split}"]), strict=True
            )
        }

    def _carry_out(
        self,
        task: _Task,
        cursor: dict[str, int],
        arrays: Arrays,
        checkpoint: Checkpoint,
        bar: ProgressBar,
    ) -> None:
        """Sweep a group over the blocks of a split, from where the cursor is."""
        weights, sweep = self._prepare(task, arrays["moments"])
        accumulators = [tf.constant(a) for a in arrays["current"] or self._empty(task)]
        blocks = self._blocks[task.split]
        while cursor["block"] < len(blocks):
            x, y = blocks[cursor["block"]]
            accumulators = sweep(weights, accumulators, x, y)
            cursor["block"] += 1
            bar.add(len(task.members) * len(y))
            if checkpoint.due():
                arrays["current"] = [a.numpy() for a in accumulators]
                checkpoint.save(cursor, arrays)
        self._finish(task, [a.numpy()[: len(task.members)] for a in accumulators], arrays)

    def _tasks(self) -> list[_Task]:
        return [
            _Task(plan, members, split, moments)
            for plan in self._plans
            for members in plan.groups()
            for split, moments in self._passes()
        ]

    def _passes(self) -> list[tuple[str, bool]]:
        moments = [] if self._statistics is None else [(MOMENTS_SPLIT, True)]
        return [*moments, *((split, False) for split in self._sizes)]

    def _initial(self) -> Arrays:
        """What a run holds at its start: nothing measured, no moments, no task begun."""
        results = {f"of {s}": self._measures.initial(self._num_points) for s in self._sizes}
        return {**results, "moments": [], "current": []}

    def _empty(self, task: _Task) -> list[np.ndarray]:
        """Accumulators of a task before its first block."""
        if task.moments:
            return self._statistics.initial(task.plan.capacity)
        return self._measures.initial(task.plan.capacity)

    def _finish(self, task: _Task, accumulators: list[np.ndarray], arrays: Arrays) -> None:
        arrays["current"] = []
        if task.moments:
            arrays["moments"] = accumulators
            return
        for result, values in zip(arrays[f"of {task.split}"], accumulators, strict=True):
            result[task.numbers] = values

    def _prepare(self, task: _Task, moments: list[np.ndarray]) -> tuple[Weights, Sweep]:
        """The weights of a task and its compiled step."""
        states = task.plan.family.states(task.members)
        if self._statistics is not None:
            if task.moments:
                states = self._statistics.blank(states)
            else:
                states = self._statistics.results(moments, states)
        states = [pad(array, task.plan.capacity) for array in states]
        weights = self._load(task)._replace(states=[tf.constant(a) for a in states])
        shapes = tuple(tuple(kernel.shape) for kernel in weights.kernels)
        key = (task.moments, *task.plan[1:], shapes, tuple(weights.coefficients.shape))
        if key not in self._sweeps:
            self._sweeps[key] = self._new_sweep(task)
        return weights, self._sweeps[key]

    def _load(self, task: _Task) -> Weights:
        """The weights of a group, which stay from one pass over the data to the next."""
        family, members = task.plan.family, task.members
        if self._loaded is None or self._loaded[:2] != (family, members):
            self._loaded = None  # before the next are there, not after
            self._loaded = family, members, load(task.plan, self._space, members)
        return self._loaded[2]

    def _new_sweep(self, task: _Task) -> Sweep:
        space, update = self._space, self._measure
        if task.moments:
            space, update = self._statistics.space, self._add_moments
        divided = DividedModel(space, task.plan.division)
        computed = divided.num_values * self._num_points * sum(self._sizes.values())
        return Sweep(
            space,
            divided,
            task.plan,
            update,
            fuse=divided.is_dense and computed > _WORTH_FUSING,
            rows=self.rows,
        )

    def _measure(self, accumulators: Any, outputs: Any, state: Any, y: Any) -> list[Any]:
        del state
        return self._measures.update(accumulators, y, outputs)

    def _add_moments(self, accumulators: Any, outputs: Any, state: Any, y: Any) -> list[Any]:
        del outputs
        return self._statistics.update(accumulators, state, tf.shape(y)[0])

    def _fixed_states(self, families: Sequence[Family]) -> list[bool]:
        """Whether each state variable is the same at all points."""
        measured = set() if self._statistics is None else set(self._statistics.variables)
        states = [family.states(range(len(family))) for family in families]
        stacked = [np.concatenate(arrays) for arrays in zip(*states, strict=True)]
        return [i not in measured and bool((a == a[:1]).all()) for i, a in enumerate(stacked)]

    def _suitable_rows(self) -> int:
        if self._statistics is not None:
            return BATCH_SIZE  # as `path.model(t, batch_norm_data)` has it
        widest = max(
            DividedModel(self._space, plan.division).largest_width * max(2 * plan.num_products, 1)
            for plan in self._plans
        )
        return int(np.clip(_BLOCK_BYTES // (4 * widest), _FEWEST_ROWS, _MOST_ROWS))
