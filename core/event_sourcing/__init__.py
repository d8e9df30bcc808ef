"""Streams of events: storing them, and aggregates made from them."""
