"""Plumbing without a clinical noun: what every service needs, once."""
