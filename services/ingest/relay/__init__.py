"""The relay, a process of its own: from ingest's outbox to Kafka."""
