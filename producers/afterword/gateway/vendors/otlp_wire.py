r"""The messages of OTLP in protobuf, as far as the gateway reads them.

>>> Span.FromString(b"\x12\x02id").span_id
b'id'

They differ from the published ones in two ways, so that what cannot be parsed takes nothing with it. Text is
bytes, because protobuf refuses a whole request for one byte that is not UTF-8. And spans, log records and
the values of attributes are bytes, each to be parsed by itself when it is needed, however deep it is nested.
https://github.com/open-telemetry/opentelemetry-proto
"""

from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_BYTES: Final = FieldDescriptorProto.TYPE_BYTES
_MESSAGE: Final = FieldDescriptorProto.TYPE_MESSAGE
_TIME: Final = FieldDescriptorProto.TYPE_FIXED64
_BOOL: Final = FieldDescriptorProto.TYPE_BOOL
_INT64: Final = FieldDescriptorProto.TYPE_INT64
_DOUBLE: Final = FieldDescriptorProto.TYPE_DOUBLE
_ONE: Final = FieldDescriptorProto.LABEL_OPTIONAL
_MANY: Final = FieldDescriptorProto.LABEL_REPEATED


def _field(
    number: int, name: str, kind: Any, label: Any = _ONE, of: str = ""
) -> FieldDescriptorProto:
    field = FieldDescriptorProto(number=number, name=name, type=kind, label=label)
    if of:
        field.type_name = f".afterword.otlp.{of}"
    return field


def _messages() -> list[DescriptorProto]:
    value = DescriptorProto(
        name="AnyValue",
        field=[
            _field(1, "string_value", _BYTES),
            _field(2, "bool_value", _BOOL),
            _field(3, "int_value", _INT64),
            _field(4, "double_value", _DOUBLE),
            _field(5, "array_value", _BYTES),
            _field(6, "kvlist_value", _BYTES),
            _field(7, "bytes_value", _BYTES),
        ],
    )
    value.oneof_decl.add(name="value")
    for field in value.field:
        field.oneof_index = 0
    return [
        DescriptorProto(
            name="Request", field=[_field(1, "resources", _MESSAGE, _MANY, "Resource")]
        ),
        DescriptorProto(name="Resource", field=[_field(2, "scopes", _MESSAGE, _MANY, "Scope")]),
        DescriptorProto(name="Scope", field=[_field(2, "items", _BYTES, _MANY)]),
        DescriptorProto(
            name="Span",
            field=[
                _field(1, "trace_id", _BYTES),
                _field(2, "span_id", _BYTES),
                _field(8, "end_time_unix_nano", _TIME),
                _field(9, "attributes", _MESSAGE, _MANY, "KeyValue"),
                _field(11, "events", _MESSAGE, _MANY, "SpanEvent"),
            ],
        ),
        DescriptorProto(
            name="SpanEvent",
            field=[
                _field(1, "time_unix_nano", _TIME),
                _field(2, "name", _BYTES),
                _field(3, "attributes", _MESSAGE, _MANY, "KeyValue"),
            ],
        ),
        DescriptorProto(
            name="LogRecord",
            field=[
                _field(1, "time_unix_nano", _TIME),
                _field(6, "attributes", _MESSAGE, _MANY, "KeyValue"),
                _field(9, "trace_id", _BYTES),
                _field(10, "span_id", _BYTES),
                _field(11, "observed_time_unix_nano", _TIME),
                _field(12, "event_name", _BYTES),
            ],
        ),
        DescriptorProto(
            name="KeyValue", field=[_field(1, "key", _BYTES), _field(2, "value", _BYTES)]
        ),
        value,
        DescriptorProto(name="ArrayValue", field=[_field(1, "values", _BYTES, _MANY)]),
        DescriptorProto(
            name="KeyValueList", field=[_field(1, "values", _MESSAGE, _MANY, "KeyValue")]
        ),
    ]


_FILE: Final = FileDescriptorProto(
    name="afterword/otlp.proto",
    package="afterword.otlp",
    syntax="proto3",
    message_type=_messages(),
)
_pool: Final = DescriptorPool()
_pool.AddSerializedFile(_FILE.SerializeToString())


def _class(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"afterword.otlp.{name}"))


Request: Final = _class("Request")
"""Of spans or of log records: both have the same numbers. The items of a scope are bytes."""

Span: Final = _class("Span")
"""Bytes of a `Scope.items`."""

LogRecord: Final = _class("LogRecord")
"""Likewise."""

AnyValue: Final = _class("AnyValue")
"""Bytes of a `KeyValue.value` or of an `ArrayValue.values`; holds an array or list of pairs as bytes."""

ArrayValue: Final = _class("ArrayValue")
"""Bytes of an `AnyValue.array_value`."""

KeyValueList: Final = _class("KeyValueList")
"""Bytes of an `AnyValue.kvlist_value`."""
