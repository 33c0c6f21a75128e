import concurrent.futures
import copy
import json

import pytest

from mc_keras.storage import sha256_of_file
from mc_keras.zoo import manifest
from mc_keras.zoo.card import card_of
from tests.golden import NOT_SHIPPED


@pytest.fixture
def contents(make_entry, make_population):
    whole = manifest.Manifest({"toy": make_entry()}, populations={"toys_3-4": make_population()})
    return json.loads(json.dumps(whole.to_json()))


def written(folder, contents):
    (folder / manifest.FILE_NAME).write_text(json.dumps(contents), encoding="utf-8")
    return folder


def test_what_is_written_is_read_again(tmp_path, contents, make_entry, make_population):
    contents["base_urls"] = ["https://example.org/zoo"]
    read = manifest.load_manifest(written(tmp_path, contents))
    assert read.base_urls == ("https://example.org/zoo",)
    assert read["toy"] == read.find("toy") == make_entry()
    assert read.population("toys_3-4") == read.find("toys_3-4") == make_population()
    assert list(read.all()) == ["toy", "toys_3-4"]
    assert json.loads(json.dumps(read.to_json())) == contents


def test_sections_of_later_kinds_may_be_missing(tmp_path, contents):
    del contents["connections"], contents["populations"]
    assert list(manifest.load_manifest(written(tmp_path, contents)).all()) == ["toy"]


def test_shipped_manifest_is_valid_and_in_the_form_that_tools_write():
    file = manifest.ZOO_FOLDER / manifest.FILE_NAME
    shipped = json.loads(file.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(manifest.load_manifest().to_json())) == shipped
    assert manifest.names() == sorted(shipped["entries"])


def test_shipped_entries_have_their_files_and_their_card_in_a_folder_of_their_name():
    for name, entry in manifest.load_manifest().all().items():
        assert {file.path.split("/")[0] for file in entry.files.values()} == {name}
        card = (manifest.ZOO_FOLDER / name / manifest.CARD_NAME).read_text(encoding="utf-8")
        assert card == card_of(entry)


def test_shipped_entries_have_their_files_as_the_manifest_says():
    shipped = [e for name, e in manifest.load_manifest().all().items() if name not in NOT_SHIPPED]
    for file in (file for entry in shipped for file in entry.files.values()):
        assert (manifest.ZOO_FOLDER / file.path).is_file(), file.path
        assert sha256_of_file(manifest.ZOO_FOLDER / file.path) == file.sha256, file.path


def test_put_entry_leaves_everything_else(tmp_path, contents, make_entry, make_population):
    contents["base_urls"] = ["https://example.org/zoo"]
    written(tmp_path, contents)
    manifest.put_entry(tmp_path, make_entry(name="other"))
    manifest.put_entry(tmp_path, make_entry(name="other", version=2))
    manifest.put_entry(tmp_path, make_population(name="others_3-4"))
    read = manifest.load_manifest(tmp_path)
    assert {name: entry.version for name, entry in read.entries.items()} == {"other": 2, "toy": 1}
    assert sorted(read.populations) == ["others_3-4", "toys_3-4"]
    assert read.base_urls == ("https://example.org/zoo",)


def test_entries_that_are_put_at_once_are_all_there(tmp_path, make_entry):
    entries = [make_entry(name=f"toy{number}") for number in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda entry: manifest.put_entry(tmp_path, entry), entries))
    assert len(manifest.load_manifest(tmp_path).entries) == 12


def test_put_entry_makes_a_manifest(tmp_path, make_entry):
    manifest.put_entry(tmp_path / "new", make_entry())
    assert manifest.load_manifest(tmp_path / "new")["toy"] == make_entry()


def test_manifest_of_a_source(tmp_path, contents):
    assert "toy" in manifest.manifest_of(written(tmp_path, contents)).entries
    assert manifest.manifest_of(tmp_path / "none") == manifest.load_manifest()
    assert manifest.manifest_of(tmp_path.as_uri()) == manifest.load_manifest()
    assert manifest.manifest_of(None) == manifest.load_manifest()


def test_unknown_entry_suggests_the_nearest(tmp_path, contents):
    contents["entries"]["other"] = contents["entries"]["toy"]
    read = manifest.load_manifest(written(tmp_path, contents))
    with pytest.raises(
        ValueError, match=r"no entry 'toi'. Did you mean 'toy'\? It has: other, toy"
    ):
        read["toi"]
    with pytest.raises(ValueError, match=r"no entry 'vgg99'. It has"):
        read["vgg99"]
    with pytest.raises(ValueError, match=r"no population 'toys'. Did you mean 'toys_3-4'\?"):
        read.population("toys")
    with pytest.raises(ValueError, match=r"no connection model 'toy'. It has: none"):
        read.connection("toy")


def test_info_of_unknown_entry():
    with pytest.raises(ValueError, match="no entry 'no_such_pair'"):
        manifest.info("no_such_pair")


def test_missing_and_broken_file(tmp_path):
    with pytest.raises(ValueError, match="Cannot read the zoo's manifest"):
        manifest.load_manifest(tmp_path)
    for broken in (
        '{"schema_version": 1, "ent',
        "[" * 100_000,
        '{"base_urls": 1%s}' % (5000 * "0"),
    ):
        (tmp_path / manifest.FILE_NAME).write_text(broken)
        with pytest.raises(ValueError, match="Cannot read the zoo's manifest"):
            manifest.load_manifest(tmp_path)


def test_newer_schema_is_told_apart_from_a_broken_one(tmp_path):
    with pytest.raises(ValueError, match=r"schema version 99.*install a newer mc_keras"):
        manifest.load_manifest(written(tmp_path, {"schema_version": 99, "pairs": []}))


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("files/start/path", "../../etc/passwd", "relative path of plain names"),
        ("files/start/path", "/etc/passwd", "relative path of plain names"),
        ("files/start/path", "toy/.hidden", "relative path of plain names"),
        ("files/start/path", "toy//x", "relative path of plain names"),
        ("files/start/sha256", "A" * 64, "64 hexadecimal digits"),
        ("files/end/size", 0, "integer >= 1"),
        ("files/end/size", 1.5, "integer >= 0"),
        ("files/end/size", True, "integer >= 0"),
        ("files/middle", {}, "unknown key 'middle'"),
        ("metrics/start/test_loss", "low", "must be a number"),
        ("metrics/start/test_loss", 10**400, "must be a finite number"),
        ("metrics/start/test_loss", float("nan"), "must be a finite number"),
        ("architecture/num_classes", 10**12, "integer <= 100000"),
        ("architecture/input_shape", [8, 10**12, 1], r"\[1\] must be an integer <= 100000"),
        ("license", " ", "not empty"),
        ("created", "31.1.2026", "a day such as"),
        ("architecture/input_shape", "8x8", "must be a list"),
        ("architecture/config", [5], "must be a mapping"),
        ("seeds/end", -1, "integer >= 0"),
        ("notes", 5, r"\['notes'\] must be a text, found 5"),
        ("history", None, r"\['history'\] must be a text, found None"),
        ("colour", "red", "unknown key 'colour'"),
    ],
)
def test_wrong_value_is_named(tmp_path, contents, where, value, message):
    *path, last = where.split("/")
    place = contents["entries"]["toy"]
    for key in path:
        place = place[key]
    place[last] = value
    with pytest.raises(ValueError, match=f"is not valid: .*toy.*{message}"):
        manifest.load_manifest(written(tmp_path, contents))


@pytest.mark.parametrize(("section", "name"), [("entries", "toy"), ("populations", "toys_3-4")])
def test_every_missing_field_is_named(tmp_path, contents, section, name):
    for field in set(contents[section][name]) - {"notes", "history"}:
        broken = copy.deepcopy(contents)
        del broken[section][name][field]
        with pytest.raises(ValueError, match=f"has no '{field}'"):
            manifest.load_manifest(written(tmp_path, broken))


def test_names_of_entries_are_plain(tmp_path, contents):
    contents["entries"]["../toy"] = contents["entries"].pop("toy")
    with pytest.raises(ValueError, match="lower-case letters, digits, underscores and hyphens"):
        manifest.load_manifest(written(tmp_path, contents))
