"""Records in from Kafka, messages out to it: membership, start offsets, consumer lag, and the outbox."""
