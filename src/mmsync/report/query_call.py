"""The call of ``mlevalmodel`` that asks a model in a query of Devo's, from the model's fields; all of it is inferred.

From the tutorials of the official client: a model of named inputs takes each as an argument, in order, of its type
(``mlevalmodel("DOMAIN", "NAME", length, entropy)``); an ONNX model of one tensor takes one list of ``float4`` and
answers a list (``at(mlevalmodel("DOMAIN", "NAME", [float4(length), float4(entropy)]), 0)``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

_CASTS = {"str": "str", "bool": "bool", "int4": "int", "int8": "int", "float4": "float4", "float8": "float"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_DOMAIN = "DOMAIN"


class QueryCall(NamedTuple):
    """An expression for a query's ``select``, and in sentences without full stop what of it is inferred."""

    text: str
    caveats: tuple[str, ...]


def query_call(
    name: str, engine: str | None, inputs: Sequence[tuple[str, str | None]], domain: str = ""
) -> QueryCall | None:
    """Return the call of a model with these inputs, names with their types in order; None where no input is known.

    ``domain`` is the domain's name, empty where it is not known. Strings are quoted and columns back-quoted where
    needed; names go in as they are, and are to be made printable like any other text of the server's.
    """
    if not inputs:
        return None
    caveats = ["inferred from the model's fields and the official client's tutorials, not from this server"]
    if not domain:
        caveats.append(f"put the name of your domain in place of {_NO_DOMAIN}")
    head = f"mlevalmodel({_quoted(domain or _NO_DOMAIN)}, {_quoted(name)}, "
    if (engine or "").casefold() == "onnx" and len(inputs) == 1:
        first, second = (_column(f"{inputs[0][0]}_{number}") for number in (1, 2))
        cast = "str" if inputs[0][1] == "str" else "float4"
        caveats.append(
            "the one input is a tensor: list a column for each of its values, in the order it was trained with"
        )
        return QueryCall(f"at({head}[{cast}({first}), {cast}({second})]), 0) as result", tuple(caveats))
    arguments = []
    for column, kind in inputs:
        cast = _CASTS.get((kind or "").casefold(), "")
        arguments.append(f"{cast}({_column(column)})" if cast else _column(column))
    unknown = sorted({kind for _, kind in inputs if kind and kind.casefold() not in _CASTS})
    if unknown or any(kind is None for _, kind in inputs):
        caveats.append("inputs of types that are not known have no cast")
    caveats.append("columns are named as the inputs are: put yours in their place")
    return QueryCall(f"{head}{', '.join(arguments)}) as result", tuple(caveats))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _column(name: str) -> str:
    if _IDENTIFIER.fullmatch(name):
        return name
    return f"`{name.replace('`', '')}`"
