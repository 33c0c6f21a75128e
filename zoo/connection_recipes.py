"""How the connection models of the zoo are trained: a table, pure data."""

import dataclasses
import difflib

from mc_keras.flows import METHODS


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionRecipe:
    """How a flow is trained that connects the networks of one recipe.

    Attributes:
        networks: Name of the networks' recipe.
        method: Name of the connection method: `"rnvp_bijection"`, `"rnvp_flow"` or `"iaf_flow"`.
        num_blocks: Blocks of the flow.
        hidden: Units of the hidden layers of the networks inside.
        epochs: Passes over the training images (bijection) or over the rows of the population
            (flow).
        batch_size: Images, or rows, in one step.
        learning_rate: Of Adam, falling to 0 along a cosine.
        position: Where on the paths the loss is taken, `None` for anywhere (bijection). In the
            middle alone, as the paper has it, the accuracy elsewhere may be lower.
        period: Epochs between two measurements of the worst point (bijection).
        seed: Of everything random.

    Raises:
        ValueError: If there is no such method.
    """

    networks: str
    method: str
    num_blocks: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    position: float | None = None
    period: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(
                f"There is no learned method {self.method!r}; there are {', '.join(METHODS)}."
            )

    @property
    def name(self) -> str:
        """Name of the connection model in the zoo."""
        return f"{self.networks}_{self.method}"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        ConnectionRecipe(
            networks="fc1_digits",
            method="rnvp_bijection",
            num_blocks=6,
            hidden=(64, 64),
            epochs=80,
            batch_size=128,
            learning_rate=1e-3,
            period=5,
        ),
        ConnectionRecipe(
            networks="fc1_digits",
            method="rnvp_flow",
            num_blocks=6,
            hidden=(64, 64),
            epochs=30,
            batch_size=256,
            learning_rate=1e-3,
        ),
        ConnectionRecipe(
            networks="fc1_digits",
            method="iaf_flow",
            num_blocks=2,
            hidden=(128,),
            epochs=30,
            batch_size=256,
            learning_rate=1e-3,
        ),
        ConnectionRecipe(
            networks="fc_mnist",
            method="rnvp_bijection",
            num_blocks=6,
            hidden=(128, 128),
            epochs=15,
            batch_size=512,
            learning_rate=1e-3,
        ),
        ConnectionRecipe(
            networks="fc_mnist",
            method="rnvp_flow",
            num_blocks=6,
            hidden=(128, 128),
            epochs=20,
            batch_size=256,
            learning_rate=5e-4,
        ),
        ConnectionRecipe(
            networks="fc_mnist",
            method="iaf_flow",
            num_blocks=2,
            hidden=(128,),
            epochs=20,
            batch_size=256,
            learning_rate=5e-4,
        ),
        ConnectionRecipe(
            networks="fc_cifar10",
            method="rnvp_bijection",
            num_blocks=6,
            hidden=(128, 128),
            epochs=10,
            batch_size=512,
            learning_rate=1e-3,
            period=2,
        ),
    )
}


def get_connection_recipe(networks: str, method: str) -> ConnectionRecipe:
    """The recipe of a connection model.

    Args:
        networks: Name of the networks' recipe.
        method: Name of the connection method.

    Raises:
        ValueError: If there is none; the nearest is suggested.
    """
    of_networks = {r.method: r for r in RECIPES.values() if r.networks == networks}
    if method not in of_networks:
        nearest = difflib.get_close_matches(method, of_networks, n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        others = "for other networks only, " + ", ".join({r.networks: r for r in RECIPES.values()})
        raise ValueError(
            f"There is no recipe for a connection model {method!r} of {networks!r} networks. "
            f"{hint}There are recipes {', '.join(of_networks) or others}."
        )
    return of_networks[method]
