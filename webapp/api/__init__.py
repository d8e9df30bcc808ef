"""The JSON API: each operation beside its view, and what reads requests and writes answers."""
