"""How Kafka is reached, and what is said when it is not."""
