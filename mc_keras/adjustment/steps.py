"""The steps of a path that goes layer by layer: which weights move, and which layers make good."""

import dataclasses

from mc_keras.adjustment.program import Program
from mc_keras.weight_space import WeightSpace


@dataclasses.dataclass
class Step:
    """One linear layer, or all heads, and what moves with them.

    Attributes:
        linear: Numbers of the calls of the layers: one, but for the last step, that of all heads.
        begin: Number of the first call whose weights or state move.
        moved: Numbers of the variables that go from the start's to the end's.
        states: Numbers of the state variables that go with them.
        consumers: Numbers of the calls of linear layers that read what moves, past no other linear
            layer.
    """

    linear: list[int]
    begin: int
    moved: list[int]
    states: list[int]
    consumers: list[int]


def steps_of(program: Program, space: WeightSpace) -> list[Step]:
    """The steps, one for each linear layer but the heads, then one for all of these.

    Raises:
        ValueError: See `Program.check_stepwise`.
    """
    program.check_stepwise()
    variables = {id(v): i for i, v in enumerate(space.variables)}
    states = {id(v): i for i, v in enumerate(space.state_variables)}
    steps = [Step(numbers, numbers[0], [], [], []) for numbers in program.steps]
    # For each slot, the steps that it depends on past no other linear layer.
    origins: dict[int, set[int]] = {program.input: set()}
    for number, call in enumerate(program.calls):
        k = program.step_of(number)
        own = {id(v) for v in call.weights}
        moved = sorted(variables[v] for v in own if v in variables)
        states_moved = sorted(states[v] for v in own if v in states)
        steps[k].moved += moved
        steps[k].states += states_moved
        if moved or states_moved:
            steps[k].begin = min(steps[k].begin, number)
        read = set().union(*(origins[slot] for slot in call.inputs))
        if number in program.linear:
            for origin in read - {k}:
                steps[origin].consumers.append(number)
            read = {k}
        elif moved or states_moved:
            read = read | {k}
        origins.update(dict.fromkeys(call.outputs, read))
    return steps
