"""The bytes of a message -> its fields: JSON, line protocol, protobuf; what they mean is not known here."""
