"""WhatsApp's protobuf messages and the binary XML codec, as pyaileys has them.

The generated module has no types, so it stands here once as `Any`.
"""

import importlib
from typing import Any

messages: Any = importlib.import_module("pyaileys.proto.WAProto_pb2")
"""The generated protobuf classes (`ClientPayload`, `Message`, ...)."""

DecodeError: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
"""What protobuf raises for bytes that are no such message."""

json_format: Any = importlib.import_module("google.protobuf.json_format")
"""Protobuf's JSON form of messages (`ParseDict`, `ParseError`)."""
