"""A connection learned once for all networks of a kind: the arc in the latents of a flow."""

import difflib
import os
from typing import Any

import keras

from mc_keras.connectors.base import Connector, Job, read_ends
from mc_keras.flows import METHODS, Flow, TransportedPath, check_fits, rows_layout
from mc_keras.storage import fingerprint, sha256_of_file
from mc_keras.weight_space import WeightSpace


class LearnedConnection(Connector):
    """Arc in the latents of a flow, unit by unit, for networks with one hidden layer.

    The flow was trained on many networks of one recipe and connects any two others of it; nothing
    is trained here. What belongs to no unit, the bias of the output layer, goes along the straight
    line.

    Args:
        model: A flow; a `.keras` file that holds one; or the name of a method, `"rnvp_bijection"`,
            `"rnvp_flow"` or `"iaf_flow"`, for the zoo's connection model that fits the networks.

    Raises:
        TypeError: If `model` is something else.
        ValueError: If there is no such method.

    Reference:
        Anokhin and Yarotsky, 2020, section 3.3.
    """

    def __init__(self, *, model: Flow | str | os.PathLike[str] = "rnvp_bijection"):
        if not isinstance(model, Flow):
            if not isinstance(model, str | os.PathLike):
                raise TypeError(
                    "LearnedConnection takes a flow, a .keras file that holds one, or the name of "
                    f"a method, received {type(model).__name__}."
                )
            model = os.fspath(model)
            if not model.endswith(".keras") and model not in METHODS:
                nearest = difflib.get_close_matches(model, METHODS, n=1)
                hint = f"did you mean {nearest[0]!r}? " if nearest else ""
                raise ValueError(
                    f"There is no learned method {model!r}: {hint}There are "
                    f"{', '.join(METHODS)}. A connection model of the zoo is passed as "
                    "model=mc.zoo.load_connection(name), one of your own as its .keras file."
                )
        self.model = model

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the method."""
        named = isinstance(self.model, str) and not self.model.endswith(".keras")
        return str(self.model) if named else "learned"

    def applies_to(self, network: keras.Model) -> bool:
        """See `Connector`."""
        from mc_keras.zoo.connections import find_connection

        if self.name != "learned":
            return find_connection(network, self.name) is not None
        try:
            check_fits(self._flow(network), network)
        except ValueError:
            return False
        return True

    def connect(
        self,
        space: WeightSpace,
        start: keras.Model,
        end: keras.Model,
        data: Any,
        job: Job,
    ) -> TransportedPath:
        """See `Connector`."""
        layout = rows_layout(space)
        flow = self._flow(start)
        check_fits(flow, start)
        points, states = read_ends(start, end)
        return TransportedPath(space, points, flow.copy(), layout.axes, states=states)

    def _flow(self, network: keras.Model) -> Flow:
        if isinstance(self.model, Flow):
            return self.model
        from mc_keras.zoo import connections

        if self.name == "learned":
            return connections.read_connection(self.model)
        found = connections.find_connection(network, self.name)
        if found is None:
            raise ValueError(
                f"The zoo has no connection model '{self.name}' for networks like "
                f"'{network.name}': train one by mc-train --connection={self.name}, and pass its "
                "file as mc.connectors.LearnedConnection(model=...), or choose another method."
            )
        return connections.load_connection(found, verbose=0)

    def get_config(self) -> dict[str, Any]:
        """JSON-able description of the method, for the provenance of a path.

        It holds digests of what was learned: of a flow's weights, of a file, or of all models that
        the zoo has of a method, as any of them may be the one that fits.
        """
        if isinstance(self.model, Flow):
            described = self.model.get_config()
            config = {key: value for key, value in described.items() if key != "networks"}
            return {"model": config, "sha256": fingerprint(self.model.get_weights())}
        if self.name == "learned":
            # Of a file that is not there, `connect` says so.
            there = os.path.isfile(self.model)
            return {"model": self.model, "sha256": sha256_of_file(self.model) if there else None}
        from mc_keras.zoo.connections import connection_digests

        return {"model": self.model, "sha256": connection_digests(self.name)}
