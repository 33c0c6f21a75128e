"""How long bfloat16 takes is measured, and decides."""

import pytest

from mc_keras.zoo import precision


def test_recipes_in_single_precision_need_no_measurement(monkeypatch):
    monkeypatch.setattr(precision, "slowdown_of_bfloat16", pytest.fail)
    assert precision.policy_here("float32") == "float32"


@pytest.mark.parametrize(
    ("slowdown", "policy"),
    [(0.6, "mixed_bfloat16"), (1.5, "mixed_bfloat16"), (2.5, "float32"), (20.0, "float32")],
)
def test_mixed_precision_is_kept_unless_it_is_much_slower(slowdown, policy, monkeypatch, capsys):
    monkeypatch.setattr(precision, "slowdown_of_bfloat16", lambda: slowdown)
    assert precision.policy_here("mixed_bfloat16") == policy
    assert ("in float32." in capsys.readouterr().err) == (policy == "float32")


def test_what_is_decided_here_is_what_was_measured_here(capsys):
    policy = precision.policy_here("mixed_bfloat16", verbose=0)
    assert capsys.readouterr().err == ""
    slow = precision.slowdown_of_bfloat16() >= 2
    assert policy == ("float32" if slow else "mixed_bfloat16")
