"""The learning rate of every step of a training."""

from typing import Any, Self

import keras

from mc_keras.zoo.recipes import Recipe


def learning_rates(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The recipe's schedule over `steps` batches: it rises linearly, falls along a cosine.

    Raises:
        ValueError: If there are fewer batches than cycles.
    """
    if not 1 <= recipe.cycles <= steps:
        raise ValueError(
            "`cycles` of the learning rate must be from 1 to the number of batches in all epochs. "
            f"Received: cycles={recipe.cycles}, for {steps} batches"
        )
    # Rounded up: the last cycle is cut short by less than one step for each cycle.
    length = -(-steps // recipe.cycles)
    warmup = round(recipe.warmup * length)
    cycle = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=length - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return cycle if recipe.cycles == 1 else Repeated(cycle, length)


@keras.saving.register_keras_serializable("mc_keras")
class Repeated(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that starts again every `length` steps.

    Args:
        schedule: What is repeated.
        length: Number of steps.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, length: int):
        self.schedule = schedule
        self.length = length

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, a scalar."""
        return self.schedule(keras.ops.mod(step, self.length))

    def get_config(self) -> dict[str, Any]:
        """See `keras.optimizers.schedules.LearningRateSchedule`."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "length": self.length}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `keras.optimizers.schedules.LearningRateSchedule`."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["length"])
