"""Attune's services: each a room of its own; they meet only in Kafka, and in the vault through `platform`."""
