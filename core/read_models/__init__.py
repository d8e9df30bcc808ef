"""The read side: tables made for reading, and what keeps them up to the events."""
