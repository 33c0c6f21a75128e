"""How the rows of the tables are made otherwise here than in the paper, as pure data.

What is in braces is an option of the row's connector.
"""

_SOLVED = (
    "layers are solved for with a ridge of {ridge:g} that pulls them to the weights they had; in "
    "the paper by the plain pseudo-inverse"
)
_ADJUSTED = (
    f"{_SOLVED}. The last layer is fitted to a blend of both networks' outputs, in the paper to "
    "the start's. Solved at {num_breakpoints} points of a leg and straight in between, in the "
    "paper at each position that is measured"
)
_LINED_UP = (
    "the units of all hidden layers are reordered at once, before the first leg, and put back "
    "after the last; in the paper layer after layer"
)
_CHAIN = (
    "the paper's SGD and schedule in {epochs} epochs, in the paper in 60 on MNIST and 200 on "
    "CIFAR-10; learning rate {learning_rate:g}, weight decay {weight_decay:g}, augmentation: "
    "{augmentation}"
)
_FLOW = "the flow is one trained here; the paper does not say how large its own is"

DIFFERENCES = {
    "iaf_flow": _FLOW,
    "rnvp_bijection": _FLOW,
    "linear+bfly": _SOLVED,
    "arc+bfly": _SOLVED,
    "ot+bfly": f"{_LINED_UP}. {_SOLVED[0].upper()}{_SOLVED[1:]}",
    "linear+wa": _ADJUSTED,
    "arc+wa": _ADJUSTED,
    "ot": "the units are put back through freed slots, or by swaps of pairs; in the paper by swaps",
    "ot+wa": f"{_LINED_UP}. {_ADJUSTED[0].upper()}{_ADJUSTED[1:]}",
    "polychain": _CHAIN,
    "polychain5": _CHAIN,
    "best": "the paper has no such row",
    "ends": "trained by a recipe of the zoo; in the paper for 30 epochs on MNIST, 400 on CIFAR-10",
}
