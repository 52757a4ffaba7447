"""ONNX models: the graph's inputs as fields, its outputs as category and output type; whole, and in one file.

All is read from the protobuf framing, which needs no package and, skipping over weights, no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmsync.formats.types import Field, FormatError, Signature, Window

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_LIMIT = 10  # bytes
_TEXT_LIMIT = 1 << 20  # bytes
_FIELDS_LIMIT = 2_000_000


class NotProtobuf(Exception):
    """The bytes are no message."""


class TooManyFields(Exception):
    """The message has more fields than are worth the time."""


class Span(NamedTuple):
    """Bytes ``start`` to ``end`` (exclusive) of the file: a text, or a message within the message."""

    start: int
    end: int


_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_OPERATORS = 1, 7, 8
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 1, 8, 9
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TYPE_SEQUENCE, _TYPE_MAP, _TYPE_SPARSE, _TYPE_OPTIONAL = 1, 4, 5, 8, 9
_TENSOR_ELEMENT, _TENSOR_SHAPE = 1, 2
_SHAPE_DIMENSION, _DIMENSION_VALUE = 1, 1
# Where tensors may be: the messages within each kind of message, by field number.
_NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DEPTH_LIMIT = 200  # messages in one another; protobuf itself reads 100
_TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _LOCATION_EXTERNAL = 9, 13, 14, 1
_INT4 = dict.fromkeys((2, 3, 4, 5, 6), "int4")  # uint8, int8, uint16, int16, int32
_TYPES = {**_INT4, 7: "int8", 8: "str", 9: "bool", 12: "int8", 13: "int8"}  # int64, string, bool, uint32, uint64
FLOAT = "float8"  # what a query's columns hold, whatever the precision inside the model


class Value(NamedTuple):
    """An input or output: ``shape`` is None where unknown, a dimension in it is 0 where unknown."""

    name: str
    type: str
    is_map: bool
    shape: tuple[int, ...] | None


class GraphReader:
    """Reads one model; every method raises `NotProtobuf` where the bytes are none, and refuses to walk for ever."""

    def __init__(self, data: Window) -> None:
        self._data = data
        self._left = _FIELDS_LIMIT
        self._whole = Span(0, data.size)
        self.begun = False  # whether what was read so far can only be an ONNX model

    def graph(self) -> tuple[list[Value], list[Value], list[Span]]:
        """Return the inputs of the model's graph, its outputs, of which there is at least one, and its nodes."""
        version, graph, operators = 0, None, False
        for number, value in self._fields(self._whole):
            if number == _MODEL_IR_VERSION and isinstance(value, int):
                version, self.begun = value, 1 <= value < 1000  # noqa: PLR2004
            elif number == _MODEL_OPERATORS:
                operators = True
            elif number == _MODEL_GRAPH and isinstance(value, Span):
                graph = value
        if not 1 <= version < 1000 or graph is None:  # noqa: PLR2004  # 13 in 2026: anything near it will do
            self.begun = False
            raise NotProtobuf("it has no IR version or no graph")
        if version >= 3 and not operators:  # noqa: PLR2004 - the first version that must say them, and behind the graph
            raise NotProtobuf("no operator set is imported")
        return self._graph(graph)

    def _graph(self, span: Span) -> tuple[list[Value], list[Value], list[Span]]:
        inputs, outputs, nodes, weights = [], [], [], set()
        for number, value in self._fields(span):
            if not isinstance(value, Span):
                continue
            if number == _GRAPH_INPUT:
                inputs.append(self._value(value))
            elif number == _GRAPH_OUTPUT:
                outputs.append(self._value(value))
            elif number == _GRAPH_INITIALIZER:
                weights.add(self._name(value, _TENSOR_NAME))
            elif number == _GRAPH_NODE:
                nodes.append(value)
        if not outputs:
            raise NotProtobuf("its graph has no outputs")
        # Before IR version 4 every weight was listed among the inputs too.
        return [value for value in inputs if value.name not in weights], outputs, nodes

    def external(self) -> str | None:
        """Return where the first tensor that is not in the file says it is, perhaps empty; None where all are in it."""
        waiting = [("model", self._whole, 0)]
        while waiting:
            kind, message, depth = waiting.pop()
            if kind == "tensor":
                if (place := self._outside(message)) is not None:
                    return place
            elif depth < _DEPTH_LIMIT:
                within = _NESTED[kind]
                waiting += [
                    (within[number], value, depth + 1)
                    for number, value in self._fields(message)
                    if number in within and isinstance(value, Span)
                ]
        return None

    def _outside(self, tensor: Span) -> str | None:
        entries, raw, location = [], False, 0
        for number, value in self._fields(tensor):
            if number == _TENSOR_EXTERNAL and isinstance(value, Span):
                entries.append(value)
            elif number == _TENSOR_LOCATION and isinstance(value, int):
                location = value
            raw = raw or number == _TENSOR_RAW
        if location != _LOCATION_EXTERNAL and (raw or not entries):
            return None
        return next((self._name(entry, 2) for entry in entries if self._name(entry, 1) == "location"), "")

    def _name(self, message: Span, number: int) -> str:
        return next((self._text(value) for place, value in self._fields(message) if place == number), "")

    def _value(self, message: Span) -> Value:
        name, kind = "", Value("", FLOAT, is_map=False, shape=None)
        for number, value in self._fields(message):
            if number == _VALUE_NAME:
                name = self._text(value)
            elif number == _VALUE_TYPE and isinstance(value, Span):
                kind = self._type(value, depth=8)
        return kind._replace(name=name)

    def _type(self, message: Span, depth: int) -> Value:
        element, shape, is_map = 0, None, False
        for number, holder in self._fields(message):
            if not isinstance(holder, Span):
                continue
            for place, value in self._fields(holder):
                if number in (_TYPE_TENSOR, _TYPE_SPARSE) and place == _TENSOR_ELEMENT and isinstance(value, int):
                    element = value
                elif number in (_TYPE_TENSOR, _TYPE_SPARSE) and place == _TENSOR_SHAPE and isinstance(value, Span):
                    shape = self._shape(value)
                elif number == _TYPE_MAP:
                    is_map = True
                elif number in (_TYPE_SEQUENCE, _TYPE_OPTIONAL) and isinstance(value, Span) and depth:
                    return self._type(value, depth - 1)._replace(shape=None)
        return Value("", _TYPES.get(element, FLOAT), is_map, shape)

    def _shape(self, message: Span) -> tuple[int, ...]:
        sizes = []
        for number, dimension in self._fields(message):
            if number == _SHAPE_DIMENSION and isinstance(dimension, Span):
                sizes.append(0)
                for place, value in self._fields(dimension):
                    if place == _DIMENSION_VALUE and isinstance(value, int):
                        sizes[-1] = value
        return tuple(sizes)

    def class_count(self, nodes: list[Span]) -> int:
        """Return how many classes the classifying operators name; 0 where none does."""
        counts = [0]
        for node in nodes:
            operator = self._name(node, _NODE_OPERATOR)
            if operator == "ZipMap" or operator.endswith("Classifier"):
                attributes = [value for number, value in self._fields(node) if number == _NODE_ATTRIBUTE]
                counts += [self._label_count(value) for value in attributes if isinstance(value, Span)]
        return max(counts)

    def _label_count(self, attribute: Span) -> int:
        if not self._name(attribute, _ATTRIBUTE_NAME).startswith("classlabels_"):
            return 0
        count = 0
        for number, value in self._fields(attribute):
            if number == _ATTRIBUTE_INTS and isinstance(value, Span):  # packed
                at, end = value
                while at < end:
                    _, at = self._varint(at, end)
                    count += 1
            elif number in (_ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS):
                count += 1
        return count

    def _fields(self, message: Span) -> Iterator[tuple[int, int | Span]]:
        """Yield the number and the value of each field, in order: an int for a varint, a `Span` for anything else.

        Raises `TooManyFields` where all walks together met more of them than any usual model has, and `NotProtobuf`.
        """
        at, end = message
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise TooManyFields
            tag, at = self._varint(at, end)
            number, wire_type = tag >> 3, tag & 7
            if not number:
                raise NotProtobuf(f"the field at byte {at} has the number 0")
            if wire_type == _VARINT:
                value, at = self._varint(at, end)
                yield number, value
                continue
            size = 8 if wire_type == _FIXED64 else 4
            if wire_type == _BYTES:
                size, at = self._varint(at, end)
            elif wire_type not in (_FIXED64, _FIXED32):
                raise NotProtobuf(f"the field at byte {at} has the unknown wire type {wire_type}")
            if size > end - at:
                raise NotProtobuf(f"the field at byte {at} reaches beyond the end")
            yield number, Span(at, at + size)
            at += size

    def _text(self, span: int | Span) -> str:
        """Return the text in ``span``, as far as it is UTF-8; empty for a number."""
        if not isinstance(span, Span):
            return ""
        return self._data[span.start : min(span.end, span.start + _TEXT_LIMIT)].decode("utf-8", "replace")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        data = self._data[at : min(at + _VARINT_LIMIT, end)]
        for place, byte in enumerate(data):
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:  # noqa: PLR2004  # the high bit says that more follows
                return value, at + place + 1
        is_short = len(data) < _VARINT_LIMIT
        raise NotProtobuf("it ends within a number" if is_short else f"the number at byte {at} does not end")


_ONE_FILE = (
    'save it as one file: onnx.save(onnx.load("m.onnx"), "m.onnx", save_as_external_data=False), '
    "or export it so (torch.onnx.export(..., external_data=False))"
)


def read_onnx(data: Window) -> Signature:
    """Return a model's signature; raises `FormatError` without outputs, cut off, or with weights in another file."""
    reader = GraphReader(data)
    try:
        inputs, outputs, nodes = reader.graph()
        category, output_type = _judge(outputs, reader, nodes)
        external = reader.external()
    except NotProtobuf as error:
        if reader.begun:
            raise FormatError(f"it is no whole ONNX model (cut off or damaged: {error})", cut_off=True) from error
        raise FormatError(f"it is no ONNX model ({error})") from error
    except TooManyFields:
        return Signature()
    if external is not None:
        raise FormatError(f"its weights are in another file{f' ({external})' if external else ''}", _ONE_FILE)
    fields = [Field(name=value.name, description=None, type=value.type) for value in inputs]
    maps = tuple(value.name for value in outputs if value.is_map)
    return Signature(output_type, category, fields, map_outputs=maps)


def _judge(outputs: list[Value], reader: GraphReader, nodes: list[Span]) -> tuple[str | None, str]:
    """Return category and output type, as the usual exporters lay models out: a label first, then its scores."""
    first, rest = outputs[0], outputs[1:]
    if first.type == FLOAT and not first.is_map:
        width = first.shape[-1] if first.shape and len(first.shape) > 1 else 1
        return ("Regression" if width <= 1 else None), FLOAT
    classifies = any(value.is_map or "prob" in value.name.lower() for value in outputs)
    if first.type == "str" or classifies:
        widths = [value.shape[-1] for value in rest if value.type == FLOAT and value.shape]
        classes = max(widths, default=0) or reader.class_count(nodes)
        return ("Binomial" if classes == 2 else "Multinomial"), first.type  # noqa: PLR2004
    if any("score" in value.name.lower() for value in rest):  # k-means: the nearest cluster, and how near each is
        return "Clustering", first.type
    return None, first.type
