def test_the_parts_of_a_construction_are_measured(tmp_path):
    file = tmp_path / "benchmark.json"
    result = run("--parts=units,adjustment", "--random_data", "--examples=300", f"--output={file}")
    assert result.returncode == 0, result.stderr
    record = json.loads(file.read_text())
    assert 0 < record["units"]["resnet50_s"] < 60
    one = record["adjustment"]["one"]
    assert one["difference"] < 1e-5
    assert 0 < one["peak_gb"] < 1
    assert "weight adjustment of 2001 by 300" in result.stdout


def test_unknown_parts_are_named():
    result = run("--parts=unit")
    assert result.returncode == 1
    assert "There is no part 'unit'; the parts are evaluation, units, matching" in result.stderr
