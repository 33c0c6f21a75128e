"""What the table for readers says."""

from mc_keras.reproduction.markdown import markdown_table


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line[2:-2].split(" | ") for line in lines}


def test_the_cells_are_the_measured_and_the_published_numbers(reproduced):
    folder, result = reproduced
    text = markdown_table(result)
    assert (folder / "table.md").read_text() == text
    rows = cells(text)
    train, test = result.figure("linear", "train"), result.figure("linear", "test")
    assert rows["Linear"][1:7] == [
        f"{train.mean:.2f} ± {train.sd:.2f}",
        "40.00 ± 1.00",
        f"{test.mean:.2f} ± {test.sd:.2f}",
        "38.50 ± 2.00",
        f"{result.gap('linear', 'test'):.2f}",
        "51.50",
    ]
    assert rows["Arc"][2] == "50.00 ± 0.50\\*"
    assert "likely a misprint" in text
    assert rows["Garipov (5)"][2] == rows["Garipov (5)"][6] == ""
    assert rows["End points"][5:7] == ["", ""]
    assert "2 pairs (mean ± standard deviation)" in text
    assert "Made by `mc-reproduce --tiny`." in text


def test_each_row_says_what_differs_from_the_paper(reproduced):
    lines = markdown_table(reproduced[1]).splitlines()
    assert lines.count("What differs from the paper:") == 1
    chains = [line for line in lines if line.startswith("- Garipov (")]
    assert len(chains) == 2
    for line in chains:
        assert "schedule in 1 epochs" in line
        assert "learning rate 0.01, weight decay 0.0005, augmentation: none." in line
    assert not any(line.startswith("- Linear:") for line in lines)


def test_the_order_of_the_methods(reproduced):
    text = markdown_table(reproduced[1])
    here, paper = reproduced[1].orders("test")
    assert f"Order by test accuracy: {' > '.join(here)}; " in text
    assert ("as in the paper" in text) or f"the paper's: {' > '.join(paper)}." in text
