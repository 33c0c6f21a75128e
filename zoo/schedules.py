"""The learning rate of every step of a training."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

import keras
from keras.optimizers import schedules as keras_schedules
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule

from mc_keras.zoo.recipes import Recipe


def learning_rates(recipe: Recipe, steps: int) -> LearningRateSchedule:
    """The recipe's schedule over `steps` batches: it rises linearly, falls along a cosine.

    Raises:
        ValueError: If the cycles are not whole parts of a positive size, or more than the batches.
    """
    cycles = recipe.cycles
    if not 1 <= len(cycles) <= steps or min(cycles) < 1:
        raise ValueError(
            "`cycles` of the learning rate must be positive sizes of one part or more, and as many "
            f"as the batches in all epochs at most. Received: cycles={cycles}, for {steps} batches"
        )
    # Rounded up, so that the last cycle is what is cut short where steps do not divide.
    ends = [-(-steps * size // sum(cycles)) for size in itertools.accumulate(cycles)]
    starts = [0, *ends[:-1]]
    schedules = [
        _cycle(recipe, max(end - start, 1)) for start, end in zip(starts, ends, strict=True)
    ]
    return schedules[0] if len(schedules) == 1 else InTurn(schedules, starts)


def _cycle(recipe: Recipe, steps: int) -> LearningRateSchedule:
    warmup = round(recipe.warmup * steps)
    return CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=steps - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


@keras.saving.register_keras_serializable("mc_keras")
class InTurn(LearningRateSchedule):
    """Schedules one after the other.

    Args:
        schedules: One or more.
        starts: The step at which each begins, ascending from 0.
    """

    def __init__(self, schedules: Sequence[LearningRateSchedule], starts: Sequence[int]):
        self.schedules = list(schedules)
        self.starts = list(starts)

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, a scalar."""
        rate = self.schedules[0](step)
        for schedule, start in zip(self.schedules[1:], self.starts[1:], strict=True):
            rate = keras.ops.where(step >= start, schedule(step - start), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """See `keras.optimizers.schedules.LearningRateSchedule`."""
        schedules = [keras_schedules.serialize(one) for one in self.schedules]
        return {"schedules": schedules, "starts": self.starts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `keras.optimizers.schedules.LearningRateSchedule`."""
        schedules = [keras_schedules.deserialize(one) for one in config["schedules"]]
        return cls(schedules, config["starts"])
