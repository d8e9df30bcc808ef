"""One file per group of rows: what is measured, in turns with what."""
