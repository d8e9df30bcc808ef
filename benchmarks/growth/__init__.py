"""`make growth`: how each cost grows with what is stored, with one order's length, with workers and read models."""
