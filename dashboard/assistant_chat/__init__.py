"""The conversation with the assistant."""
