"""What is read: one file per read model, the past, and the wiring that names them all."""
