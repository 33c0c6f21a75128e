r"""Lists, fetches, verifies, trains and packs the zoo's trained networks and connection models.

    mc-zoo list
    mc-zoo info fc_digits
    mc-zoo fetch fc_digits conv_digits --zoo=usb_stick
    mc-zoo verify fc_digits
    mc-zoo train fc_digits --zoo=my_zoo
    mc-zoo add --start=runs/fc_digits/seed0 --end=runs/fc_digits/seed1 --zoo=my_zoo
    mc-zoo add --connection=runs/fc1_digits/rnvp_flow \
        --held_out=runs/fc1_digits/30-35.networks --zoo=my_zoo
    mc-zoo add --population=runs/fc_mnist/10-25.networks --zoo=my_zoo

list      names the entries, pairs, connection models and populations (many networks of one
          recipe), with their test accuracies and size, and says whose files are not here. It is
          what is done if no action is named.
info      shows the cards of entries (default: all): networks, data, training, files, licence.
fetch     brings the files of entries (default: all that some place has) into the cache, or as a
          whole into --zoo; ends with exit code 1 if one of them failed or none was found.
verify    checks files, rebuilds what they hold (default: all that some place has), evaluates it
          again and compares with the manifest, as it does cards; ends with exit code 1 if anything
          differs or is broken. Connection models are evaluated on the path between the two networks
          of the zoo's pair of their recipe.
train     trains both ends of a recipe, in --runs/RECIPE/seedSEED, and adds them to --zoo.
add       adds to --zoo two runs of mc-train, or a connection model that it trained with the
          networks that it was not trained on, the two of a pair one after the other, or a file of
          networks that it trained by --count.

Large files do not come with the package. Where no place has those of an entry, fetch and verify say
how to make its like again and go on, and fail only if it was named. A place that cannot be asked,
as it is down or MC_KERAS_OFFLINE=1 forbids it, counts as one that has nothing.

A folder made by --zoo is a source for --source and mc.zoo.load_pair, and served by any file
server, a base URL for MC_KERAS_ZOO_URL.
"""

import difflib
from collections.abc import Sequence

from absl import flags

from mc_keras.tools import program

_SOURCE = flags.DEFINE_string(
    "source",
    None,
    "Folder or base URL to take files from. Default: the cache, the package, MC_KERAS_ZOO_URL.",
)
_ZOO = flags.DEFINE_string("zoo", None, "Zoo folder to write to.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of TFDS data sets.")
_EPOCHS = flags.DEFINE_integer("epochs", None, "train: not the recipe's number.", lower_bound=1)
_RUNS = flags.DEFINE_string("runs", "runs", "train: folder of the trainings.")
_START = flags.DEFINE_string("start", None, "add: folder of the run that is the start.")
_END = flags.DEFINE_string("end", None, "add: folder of the run that is the end.")
_CONNECTION = flags.DEFINE_string("connection", None, "add: folder of a connection model's run.")
_HELD_OUT = flags.DEFINE_string("held_out", None, "add: file of networks to measure it on.")
_POPULATION = flags.DEFINE_string("population", None, "add: file of networks.")
_DESCRIPTION = flags.DEFINE_string("description", None, "add, train: one line on the entry.")
_NOTES = flags.DEFINE_string(
    "notes", None, "add, train: what users of the entry should know besides."
)
_HISTORY = flags.DEFINE_string(
    "history", None, "add: how a pair's weights came about, if not by one run of the recipe."
)


def main(argv: Sequence[str]) -> int | None:
    action, names = (argv[1], list(argv[2:])) if len(argv) > 1 else ("list", [])
    if action not in _ACTIONS:
        nearest = difflib.get_close_matches(action, _ACTIONS, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"There is no action {action!r}.{hint} The actions are: {', '.join(_ACTIONS)}."
        )
    carry_out, own = _ACTIONS[action]
    taken = [flag.name for flag in own]
    for name in {flag.name for _, of_one in _ACTIONS.values() for flag in of_one} - set(taken):
        if flags.FLAGS[name].present:
            hint = " A zoo is read from --source." if name == "zoo" and "source" in taken else ""
            raise ValueError(
                f"--{name} is of no use to {action}, which takes "
                f"{', '.join(f'--{other}' for other in taken)}.{hint}"
            )
    return carry_out(names)


def _list(names: Sequence[str]) -> None:
    from mc_keras.zoo import download
    from mc_keras.zoo.manifest import manifest_of

    _refuse(names, "list")
    manifest = manifest_of(_SOURCE.value)
    rows = [("name", "data", "test accuracy", "size", "")]
    for entry in manifest.all().values():
        size = f"{sum(file.size for file in entry.files.values()) / 1e6:.1f} MB"
        if not download.is_here(entry, _SOURCE.value, base_urls=manifest.base_urls):
            size += ", not here"
        rows.append((entry.name, entry.dataset, entry.test_accuracy, size, entry.description))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _info(names: Sequence[str]) -> None:
    from mc_keras.zoo.card import card_of
    from mc_keras.zoo.manifest import manifest_of

    manifest = manifest_of(_SOURCE.value)
    for name in names or manifest.all():
        print(card_of(manifest.find(name)))


def _fetch(names: Sequence[str]) -> int:
    from mc_keras.zoo import download
    from mc_keras.zoo.manifest import manifest_of
    from mc_keras.zoo.mirroring import mirror

    manifest = manifest_of(_SOURCE.value)
    download.check_source(_SOURCE.value)
    entries = [manifest.find(name) for name in names or manifest.all()]
    found = failed = 0
    for entry in entries:
        try:
            if _ZOO.value is not None:
                mirror([entry.name], _ZOO.value, _SOURCE.value)
            else:
                files = download.fetch_all(entry, _SOURCE.value, base_urls=manifest.base_urls)
                print(*files.values(), sep="\n", flush=True)
            found += 1
        except (ValueError, OSError) as error:
            if names:
                raise
            is_missing = isinstance(error, download.NotHereError)
            failed += not is_missing
            verdict = "NOT HERE" if is_missing else "FAILED"
            print(f"{entry.name}  {verdict}  {error}", flush=True)
    return 1 if failed or (entries and not found) else 0


def _verify(names: Sequence[str]) -> int:
    from mc_keras.zoo.download import NotHereError, check_source
    from mc_keras.zoo.manifest import manifest_of

    manifest = manifest_of(_SOURCE.value)
    check_source(_SOURCE.value)
    entries = [manifest.find(name) for name in names or manifest.all()]

    from mc_keras.zoo.verification import card_agrees, verify

    agree, problems = [], 0
    for entry in entries:
        if not card_agrees(entry.name, _SOURCE.value):
            problems += 1
            print(
                f"{entry.name}  README.md DIFFERS from what mc-zoo info {entry.name} shows, or is "
                "gone"
            )
        try:
            comparisons = verify(entry.name, _SOURCE.value, _DATA_DIR.value)
        except NotHereError as error:
            problems += bool(names)
            print(f"{entry.name}  NOT HERE  {error}", flush=True)
            continue
        except (ValueError, OSError) as error:
            problems += 1
            print(f"{entry.name}  BROKEN  {error}", flush=True)
            continue
        if not comparisons:
            print(
                f"{entry.name}  only the file could be checked, as the pair {entry.recipe!r} that "
                "the model was measured on is not here."
            )
        for c in comparisons:
            agree.append(c.agrees)
            numbers = f"{c.expected:.6f}  measured {c.measured:.6f}"
            verdict = "ok" if c.agrees else "DIFFERS"
            print(f"{entry.name}  {c.role:8}  {c.metric:22}  {numbers}  {verdict}")
    print(f"{agree.count(False)} of {len(agree)} numbers differ from the manifest.")
    return 0 if all(agree) and not problems else 1


def _train(names: Sequence[str]) -> None:
    zoo = _required(_ZOO, "train")
    if len(names) != 1:
        raise ValueError("train takes the name of one recipe: mc-zoo train RECIPE --zoo=FOLDER.")
    from mc_keras.zoo.recipes import get_recipe

    recipe = get_recipe(names[0])

    from mc_keras.zoo.training import train

    runs = [f"{_RUNS.value}/{recipe.name}/seed{seed}" for seed in recipe.seeds]
    for seed, run in zip(recipe.seeds, runs, strict=True):
        train(recipe, seed, run, epochs=_EPOCHS.value, data_dir=_DATA_DIR.value)
    _pack(zoo, *runs)


def _add(names: Sequence[str]) -> None:
    _refuse(names, "add")
    of_pairs, of_connections, of_populations = (
        [flag for flag in of_kind if flag.value is not None]
        for of_kind in ((_START, _END, _HISTORY), (_CONNECTION, _HELD_OUT), (_POPULATION,))
    )
    received = [found[0].name for found in (of_pairs, of_connections, of_populations) if found]
    if len(received) > 1:
        raise ValueError(
            "add takes a pair, by --start, --end and --history, or a connection model, by "
            "--connection and --held_out, or a population, by --population, received "
            f"{' and '.join(f'--{name}' for name in received)}; add them one after the other."
        )
    zoo = _required(_ZOO, "add")
    if of_connections:
        _pack_connection(zoo, _required(_CONNECTION, "add"), _required(_HELD_OUT, "add", "FILE"))
    elif of_populations:
        _pack_population(zoo, _required(_POPULATION, "add", "FILE"))
    else:
        _pack(zoo, *(_required(flag, "add") for flag in (_START, _END)))


def _pack(zoo: str, start: str, end: str) -> None:
    from mc_keras.zoo.card import card_text
    from mc_keras.zoo.packing import add

    entry = add(
        zoo,
        start,
        end,
        description=_DESCRIPTION.value,
        notes=_NOTES.value,
        history=_HISTORY.value,
        data_dir=_DATA_DIR.value,
    )
    print(card_text(entry))


def _pack_connection(zoo: str, run: str, held_out: str) -> None:
    from mc_keras.zoo.card import connection_card_text
    from mc_keras.zoo.connection_packing import add_connection

    entry = add_connection(
        zoo,
        run,
        held_out,
        description=_DESCRIPTION.value,
        notes=_NOTES.value,
        data_dir=_DATA_DIR.value,
    )
    print(connection_card_text(entry))


def _pack_population(zoo: str, networks: str) -> None:
    from mc_keras.zoo.card import population_card_text
    from mc_keras.zoo.population_packing import add_population

    entry = add_population(zoo, networks, description=_DESCRIPTION.value, notes=_NOTES.value)
    print(population_card_text(entry))


def _refuse(names: Sequence[str], action: str) -> None:
    if names:
        raise ValueError(f"{action} takes no names, received {names[0]!r}.")


def _required(flag: flags.FlagHolder, action: str, value: str = "FOLDER") -> str:
    if flag.value is None:
        raise ValueError(f"{action} needs --{flag.name}={value}.")
    return flag.value


_OF_ADD = (_START, _END, _HISTORY, _CONNECTION, _HELD_OUT, _POPULATION)
_TO_SAY = (_DESCRIPTION, _NOTES)
# What each does, and the flags that it reads.
_ACTIONS = {
    "list": (_list, (_SOURCE,)),
    "info": (_info, (_SOURCE,)),
    "fetch": (_fetch, (_SOURCE, _ZOO)),
    "verify": (_verify, (_SOURCE, _DATA_DIR)),
    "train": (_train, (_ZOO, _RUNS, _DATA_DIR, _EPOCHS, *_TO_SAY)),
    "add": (_add, (_ZOO, _DATA_DIR, *_OF_ADD, *_TO_SAY)),
}


def run() -> None:
    program.run(main, arguments="[ACTION [NAME ...]]")


if __name__ == "__main__":
    run()
