"""Which networks a flow connects: described in it, and checked when it is used."""

import json
from typing import Any

import keras

from mc_keras.architecture import first_difference, structure
from mc_keras.flows.flow import Flow
from mc_keras.flows.rows import rows_layout
from mc_keras.weight_space import WeightSpace


def describe_networks(network: keras.Model, **about: Any) -> dict[str, Any]:
    """JSON-able description of networks of one kind.

    When a flow is used, only the layers with their configuration are compared. What `about` says
    is kept and shown, never compared: no network tells what data it was trained on.

    Args:
        network: One of them.
        **about: What else there is to say of them, such as `dataset="mnist"`.

    Returns:
        Layers with their configuration (normalisation of the inputs included), the hidden layer
        whose units are mapped, and `about`.
    """
    layout = rows_layout(WeightSpace(network))
    described = {
        **about,
        "layer": layout.name,
        "units": layout.size,
        "structure": structure(network),
    }
    return json.loads(json.dumps(described, default=str))


def misfit(described: dict[str, Any], network: keras.Model) -> str | None:
    """What makes a network another kind than the one described, or `None`."""
    if "structure" not in described:
        return None
    mine = json.loads(json.dumps(structure(network), default=str))
    return first_difference(described["structure"], mine)


def check_fits(flow: Flow, network: keras.Model) -> None:
    """Raise ValueError unless the flow was made for networks of this structure.

    Compared are the layers and their configuration, as `describe_networks` has them, and the size
    of the rows. The data set and recipe that the flow was trained for are not: it also takes
    networks of the same layers that were trained on other data, and is of little use for them. A
    flow without a description fits every network whose rows have its size.

    Raises:
        ValueError: If the layers or the size differ, or the network has another number of hidden
            layers than one.
    """
    layout = rows_layout(WeightSpace(network))
    if problem := misfit(flow.networks, network):
        about = ", ".join(
            f"{key} {value}"
            for key, value in flow.networks.items()
            if key not in ("structure", "layer", "units")
        )
        raise ValueError(
            f"The connection model '{flow.name}' was trained for networks of other layers than "
            f"'{network.name}': {problem}"
            + (f" (it is for networks of {about})" if about else "")
            + ". Train one for these networks, or choose another method."
        )
    size = row_size(network)
    if size != flow.size:
        raise ValueError(
            f"The connection model '{flow.name}' maps rows of {flow.size} weights, the units of "
            f"'{layout.name}' in '{network.name}' have {size}: train a connection model for these "
            "networks."
        )


def row_size(network: keras.Model) -> int:
    """Number of weights in and out of one hidden unit, its bias included."""
    space = WeightSpace(network)
    layout = rows_layout(space)
    sizes = (int(keras.ops.size(space.variables[index])) for index, _ in layout.axes)
    return sum(sizes) // layout.size
