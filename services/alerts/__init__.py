"""Readings in, people told: policy decides, explains, and takes back what no longer holds."""
