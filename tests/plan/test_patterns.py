"""A name is a name before it is a pattern, wherever a pattern is taken."""

from __future__ import annotations

from mmsync.plan import Scope, Selection
from mmsync.types import Patterns


def test_what_is_called_so_is_meant_and_nothing_else():
    assert "fraud1" in Patterns(["fraud[1]"])
    assert "fraud[1]" in Patterns(["fraud[1]"])  # whoever wrote the name meant at least that
    known = Patterns(["fraud[1]"], {"fraud[1]", "fraud1"})
    assert "fraud[1]" in known
    assert "fraud1" not in known
    assert "a1" in Patterns(["fraud[1]", "a[1]"], {"fraud[1]"})


def test_a_scope_owns_what_is_called_so():
    scope = Scope(("fraud[1]", "x*"), {"fraud[1]", "fraud1", "x1"})
    assert [name for name in ("fraud[1]", "fraud1", "x1", "x*") if name in scope] == ["fraud[1]", "x1", "x*"]
    assert scope.owners(["fraud1", "x1", "x2"]) == {"x*": ["x1", "x2"]}


def test_a_selection_means_what_is_called_so():
    chosen = Selection(target=("m[1]",), exclude=("n[1]",)).among({"m[1]", "m1", "n[1]"})
    assert "m[1]" in chosen
    assert "m1" not in chosen
    assert chosen == Selection(target=("m[1]",), exclude=("n[1]",))
    everything_but = Selection(exclude=("n[1]",)).among({"n[1]", "n1"})
    assert "n1" in everything_but
    assert "n[1]" not in everything_but
