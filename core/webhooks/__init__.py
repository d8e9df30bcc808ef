"""Webhooks: telling other services of events, from the log. The log is the outbox."""
