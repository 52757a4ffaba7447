"""The call of a model in a query: arguments in order, casts by type, names quoted where they must be."""

from __future__ import annotations

import pytest

from mmsync.report.query_call import query_call


@pytest.mark.parametrize(
    ("engine", "inputs", "call"),
    [
        ("H2O", [("hour", "float8"), ("country", "str")], 'mlevalmodel("acme", "m", float(hour), str(country)) as result'),
        ("CATBOOST", [("n", "int8"), ("b", "bool")], 'mlevalmodel("acme", "m", int(n), bool(b)) as result'),
        ("H2O", [("sepal length", "float8"), ("2x", None)], 'mlevalmodel("acme", "m", float(`sepal length`), `2x`) as result'),
        ("H2O", [("a`b", "tensor")], 'mlevalmodel("acme", "m", `ab`) as result'),
        ("ONNX", [("x", "float8")], 'at(mlevalmodel("acme", "m", [float4(x_1), float4(x_2)]), 0) as result'),
        ("onnx", [("x", "str")], 'at(mlevalmodel("acme", "m", [str(x_1), str(x_2)]), 0) as result'),
        ("ONNX", [("a", "float8"), ("b", "str")], 'mlevalmodel("acme", "m", float(a), str(b)) as result'),
    ],
)  # fmt: skip
def test_the_call_has_a_cast_for_each_input(engine, inputs, call):
    assert query_call("m", engine, inputs, "acme").text == call


def test_what_is_inferred_or_missing_is_said():
    found = query_call('the "best"', "H2O", [("a", "float8"), ("b", "number")])
    assert found.text == 'mlevalmodel("DOMAIN", "the \\"best\\"", float(a), b) as result'
    said = " ".join(found.caveats)
    assert "inferred from the model's fields" in said
    assert "your domain in place of DOMAIN" in said
    assert "no cast" in said
    assert "no cast" not in " ".join(query_call("m", "H2O", [("a", "float8")], "acme").caveats)


def test_a_model_without_known_inputs_has_no_call():
    assert query_call("m", "H2O", [], "acme") is None
