"""Classes of protobuf messages that are declared here, with the fields that are read and as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Kind = descriptor_pb2.FieldDescriptorProto

Fields = Mapping[str, tuple[int, Any, bool]]
"""Field -> its number, its type (a `Kind.TYPE_...`, or the name of a message), whether it is repeated."""


def message_classes(package: str, messages: Mapping[str, Fields]) -> dict[str, Any]:
    """Give the class of each message; a field that is not declared is kept, and not read."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = Kind.LABEL_REPEATED if repeated else Kind.LABEL_OPTIONAL
            declared = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                declared.type, declared.type_name = Kind.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                declared.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }
