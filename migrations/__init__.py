"""Alembic migrations of every service's PostgreSQL schema."""
