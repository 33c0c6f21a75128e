"""What must hold of `manifest.json`: one row for each kind of entry."""

from typing import Any

from mc_keras.zoo import checks
from mc_keras.zoo.entries import (
    CONNECTION_METRICS,
    METRICS,
    POPULATION_METRICS,
    ROLES,
    AnyEntry,
    Architecture,
    ConnectionEntry,
    Entry,
    PopulationEntry,
    WeightsFile,
)

SCHEMA_VERSION = 1

LARGEST_SIDE = 100_000  # of images, and of classes: a network of more is a mistake, and no memory's


def checked_fields(contents: Any) -> dict[str, Any]:
    """The fields of a manifest that was read from JSON, with its entries by section and name.

    Raises:
        checks.Invalid: If it is from a newer version of mc_keras, or if something in it is missing,
            unknown or of the wrong kind.
    """
    # Before anything else, as a later schema may look quite different.
    version = contents.get("schema_version") if isinstance(contents, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise checks.Invalid(
            f"it has schema version {version}, and this mc_keras reads up to {SCHEMA_VERSION}; "
            "install a newer mc_keras"
        )
    fields = _MANIFEST("the manifest", contents)
    entries = {
        kind.section: {
            name: _entry(kind, name, entry) for name, entry in fields.get(kind.section, {}).items()
        }
        for kind in _RULES
    }
    return {"base_urls": fields["base_urls"], **entries}


def _entry(kind: type[AnyEntry], name: str, fields: dict[str, Any]) -> AnyEntry:
    files = {role: WeightsFile(**file) for role, file in fields["files"].items()}
    architecture = Architecture(**fields["architecture"])
    return kind(**{**fields, "name": name, "files": files, "architecture": architecture})


def _per_role(rule: checks.Rule) -> checks.Rule:
    return checks.record(dict.fromkeys(ROLES, rule))


_WEIGHTS_FILE = checks.record(
    {"path": checks.relative_path, "size": checks.positive, "sha256": checks.digest}
)
_ARCHITECTURE = checks.record(
    {
        "builder": checks.name,
        "input_shape": checks.list_of(checks.up_to(LARGEST_SIDE)),
        "num_classes": checks.up_to(LARGEST_SIDE),
        "config": checks.mapping_of(checks.anything),
    }
)
_OF_EVERY_KIND = {
    "version": checks.positive,
    "description": checks.text,
    "dataset": checks.text,
    "architecture": _ARCHITECTURE,
    "recipe": checks.text,
    "training": checks.mapping_of(checks.anything),
    "license": checks.text,
    "dataset_license": checks.text,
    "created": checks.day,
    "versions": checks.mapping_of(checks.text),
    "notes": checks.text_or_none,
}
_RULES: dict[type[AnyEntry], checks.Rule] = {
    Entry: checks.record(
        {
            **_OF_EVERY_KIND,
            "commands": _per_role(checks.text),
            "seeds": _per_role(checks.natural),
            "files": _per_role(_WEIGHTS_FILE),
            "metrics": _per_role(checks.record(dict.fromkeys(METRICS, checks.number))),
            "history": checks.text_or_none,
        },
        optional=("notes", "history"),
    ),
    ConnectionEntry: checks.record(
        {
            **_OF_EVERY_KIND,
            "method": checks.text,
            "command": checks.text,
            "seeds": checks.list_of(checks.natural),
            "files": checks.record({"connection": _WEIGHTS_FILE}),
            "metrics": checks.record(dict.fromkeys(("pairs", *CONNECTION_METRICS), checks.number)),
            "pair_metrics": checks.record(
                dict.fromkeys(CONNECTION_METRICS, checks.number), optional=CONNECTION_METRICS
            ),
            "pair_digests": checks.record(dict.fromkeys(ROLES, checks.digest), optional=ROLES),
        },
        optional=("notes", "pair_metrics", "pair_digests"),
    ),
    PopulationEntry: checks.record(
        {
            **_OF_EVERY_KIND,
            "command": checks.text,
            "seeds": checks.list_of(checks.natural),
            "files": checks.record({"networks": _WEIGHTS_FILE}),
            "metrics": checks.record(
                dict.fromkeys(("networks", *POPULATION_METRICS), checks.number)
            ),
        },
        optional=("notes",),
    ),
}
_MANIFEST = checks.record(
    {
        "schema_version": checks.positive,
        "base_urls": checks.list_of(checks.text),
        **{
            kind.section: checks.mapping_of(rule, keys=checks.name) for kind, rule in _RULES.items()
        },
    },
    optional=("connections", "populations"),
)
