"""How rows are kept: project, catch up, rebuild, verify. Knows no read model and no field of an order."""
