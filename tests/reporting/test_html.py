"""The page: whole, on its own, readable without the pictures."""

import html.parser
import re

import pytest

from mc_keras.reporting import write_html_report
from tests.reports import path_report

VOID = {"meta", "br", "line", "path", "use", "rect"}


class Page(html.parser.HTMLParser):
    """Elements and text of a page; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self._open):
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def source(comparison, tmp_path):
    write_html_report(tmp_path / "report.html", comparison)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def page(source):
    return Page(source)


def test_it_loads_nothing(source, page):
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("img")
    assert "@import" not in source
    assert not re.findall(r"url\((?!#)", source)
    references = [
        a for _, attributes in page.elements for a in attributes if a in ("src", "srcset")
    ]
    assert not references
    assert all(use["xlink:href"].startswith("#") for use in page.all("use"))


def test_identifiers_are_unique_and_all_references_are_met(source, page):
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(identifiers)) == len(identifiers)
    referred = re.findall(r'href="#([^"]+)"', source) + re.findall(r"url\(#([^)]+)\)", source)
    assert set(referred) <= set(identifiers)


def test_every_figure_has_a_text_that_tells_its_result(page):
    labels = [svg["aria-label"] for svg in page.all("svg") if "aria-hidden" not in svg]
    assert len(labels) == 7
    assert any("test accuracy" in label and "arc 76.0\u00a0%" in label for label in labels)
    assert any("plane" in label and "bend of the path by bezier" in label for label in labels)
    assert any("barriers" in label and "linear 2.40" in label for label in labels)


def test_the_table_is_there_with_headings_for_readers_by_ear(comparison, page):
    text = " ".join(page.texts)
    for column in comparison.columns():
        for cell in column.texts.values():
            assert cell in text
    scopes = {attributes.get("scope") for attributes in page.all("th")}
    assert scopes == {"col", "colgroup", "row"}
    spans = [int(th["colspan"]) for th in page.all("th") if th.get("scope") == "colgroup"]
    assert sum(spans) == 2 * len(comparison.columns())


def test_the_first_sentences_tell_the_result(page):
    text = re.sub(r"\s+", " ", " ".join(page.texts))
    assert "the test accuracy falls to 56.0 %" in text
    assert re.search(
        r"The path by bezier stays at or above 95.0 %; its ends have 97.0 % and 95.0 %", text
    )


def test_how_many_positions_were_measured(source, comparison, tmp_path):
    assert "3 methods; 21 positions on each path; 1,442 train, 355 test examples." in source
    comparison.reports["arc"] = path_report("arc", 0.2, num_points=25)
    write_html_report(tmp_path / "other.html", comparison)
    assert "3 methods; 21 to 25 positions on each path;" in (tmp_path / "other.html").read_text()


def test_what_was_connected_is_told_and_escaped(source, page):
    assert "<digits>" not in source
    text = " ".join(page.texts)
    assert "fc <digits> & co" in text
    assert "mc-connect --pair='fc <digits>'" in text
    assert "ab" * 32 in text
    assert "A quarter of an ellipse." in text


def test_files_are_linked_relative_to_the_page(page):
    assert [a["href"] for a in page.all("a")] == ["paths/bezier.path", "s/t%200.5"]


def test_every_method_can_be_pointed_at(source, page):
    for method in ("linear", "arc", "bezier"):
        assert {"data-key": method}.items() <= page.all("tr")[3:][
            ["linear", "arc", "bezier"].index(method)
        ].items()
        assert sum(attributes.get("data-method") == method for _, attributes in page.elements) >= 5
        assert f'[data-key="{method}"]:hover' in source


def test_light_dark_and_paper_are_provided_for(source):
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source
    # Lines take their colour from the style sheet, so that it can differ in the dark.
    assert source.count("--cd55e00:") == 2
    assert "var(--cd55e00" in source


def test_it_is_small(source):
    assert len(source) < 300_000
