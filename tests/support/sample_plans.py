"""Plans and outcomes for tests of reports: every kind of change, and text from people who mean harm."""

from __future__ import annotations

from dataclasses import replace

from mmsync.apply.outcome import Outcome
from mmsync.plan.model import After, Before, Change, Plan, Selection, Signatures
from mmsync.types import Diagnostic, ServerName, Shape, Source

OLD = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
NEW = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
DIGEST = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"


def at(line: int, file: str = "models.yaml") -> Source:
    return Source(file, line, 5)


def add(name: str, size: int = 12_345, *, description: str | None = None, file: str = "", line: int = 3) -> Change:
    after = After("ONNX", description, file or f"onnx/{name}.onnx", NEW, size)
    return Change(name, "add", (), None, after, "none", at(line))


def changed(name: str, reasons, before=(), after=(), *, evidence="ledger", line: int = 7) -> Change:
    """A change; ``before`` and ``after`` override fields of a plain ONNX model."""
    was = Before(1, "ONNX", "Card fraud score", 11, 1_700_000_000_000, OLD, 240_406)._replace(**dict(before))
    to = After("ONNX", None, f"onnx/{name}.onnx", NEW if "content" in reasons else OLD, 240_406)._replace(**dict(after))
    return Change(name, "change", tuple(reasons), was, to, evidence, at(line))


def delete(name: str) -> Change:
    before = Before(9, "H2O", "no longer used", 12, 1_700_000_000_000, None, None)
    return Change(name, "delete", (), before, None, "none", None)


def unchanged(count: int) -> tuple[Change, ...]:
    return tuple(
        Change(f"kept_{n:05}", "none", (), None, After("ONNX", None, f"onnx/{n}.onnx", OLD, 5), "ledger", at(99))
        for n in range(count)
    )


def plan(*changes: Change, **fields) -> Plan:
    fields = {"server": ServerName("https://mm.example.com/api"), "manifests": ("models.yaml",), **fields}
    return Plan(changes=tuple(sorted(changes, key=lambda change: change.name)), **fields)


def every_kind() -> Plan:
    long_old = "Scores card payments. " * 20 + "Trained on 2023." + " Owner: risk team." * 10
    long_new = "Scores card payments. " * 20 + "Trained on 2023 and 2024." + " Owner: risk team." * 10
    return plan(
        add("churn_kmeans", description="Churn segments,\nfive of them"),
        add("empty_note", 999),
        changed(
            "MY FIRST MODEL",
            ("engine", "content", "description"),
            after={
                "engine": "CATBOOST",
                "description": "Card fraud score, retrained",
                "size": 251_007,
                "file": "my models/first one.cbm",
            },
        ),
        changed("by_size", ("content",), before={"sha256": None, "size": 240_400}, evidence="size", line=11),
        changed("engine_only", ("engine",), before={"engine": "DT"}, line=13),
        changed(
            "long_words", ("description",), before={"description": long_old}, after={"description": long_new}, line=17
        ),
        changed(
            "translated",
            ("description",),
            before={"description": None},
            after={"description": "カード不正スコア。" * 12},
            line=19,
        ),
        changed(
            "one_second",
            ("description",),
            before={"description": "cafe\u0301"},
            after={"description": "caf\u00e9"},
            line=23,
        ),
        changed("verylong_" + "x" * 60, ("content",), evidence="download", line=29),
        delete("zz_retired"),
        unchanged=unchanged(12),
        orphans=("zz_retired",),
        unmanaged=3,
        unknown=("unsure",),
        blocked=("pinned",),
        diagnostics=(
            Diagnostic(
                "error",
                "plan/pin",
                f"pinned: onnx/pinned.onnx holds {NEW}, not the pinned {OLD}",
                "restore the pinned file, or change sha256 in the manifest",
                at(40),
                "pinned",
            ),
            Diagnostic("warning", "net/plain", "The token travels over plain http", "use https"),
            Diagnostic(
                "warning",
                "plan/unknown-content",
                "unsure: what the server holds is unknown",
                "--verify auto downloads it and finds out",
                at(44),
                "unsure",
            ),
            Diagnostic("info", "plan/options", "Planned with options", "--prune"),
        ),
        prune=True,
    )


def signatures_differ() -> Plan:
    """Changes of what models take and answer: each kind, names as long as they come, and more inputs than are shown."""

    def retrained(name: str, before: Shape, after: Shape) -> Change:
        return replace(changed(name, ("content",)), signatures=Signatures(before, after))

    long_name = "merchant_category_of_the_last_payment_but_one_in_local_currency_" * 2
    many = {f"feature_{number:03}": "float8" for number in range(30)}
    return plan(
        retrained(
            "each_kind",
            Shape({"amount": "float8", "country": "str", "hour": "int4", "untyped": None}, "str"),
            Shape({"amount": "float8", "city": "str", "hour": "float8", "new": None}, "float8"),
        ),
        retrained("long_names", Shape({long_name: "str", "カード番号" * 12: "str"}), Shape({long_name: "float8"})),
        retrained("many", Shape({"amount": "str"}), Shape({"amount": "float8", **many})),
        retrained("same", Shape({"amount": "float8"}, "str"), Shape({"amount": "float8"}, "str")),
    )


def some_outcomes(made: Plan) -> list[Outcome]:
    by_name = {change.name: change for change in made.changes}
    return [
        Outcome(by_name["churn_kmeans"], "verified", uploaded=12_345, seconds=2.4),
        Outcome(by_name["zz_retired"], "verified", seconds=0.2),
        Outcome(by_name["engine_only"], "applied", uploaded=240_406, seconds=0.3),
        Outcome(
            by_name["MY FIRST MODEL"],
            "failed",
            "refused",
            "the server refused my models/first one.cbm for MY FIRST MODEL: not a CatBoost model; export it again",
            permanent=True,
        ),
        Outcome(by_name["by_size"], "skipped", "stale", "the server's model changed since it was planned; plan again"),
        Outcome(by_name["long_words"], "not-attempted", "interrupted", "the run was stopped first"),
    ]


def partial() -> Plan:
    return plan(
        add("fraud_score"),
        selection=Selection(("fraud_*", "o'brien"), ("*_old",), (1, 4)),
        manifests=("a.yaml", "b.yaml", "c.yaml", "d.yaml"),
        orphans=("fraud_gone",),
        server=ServerName("https://mm.example.com/api", "acme"),
    )
