"""What `make run` adds on one machine: PostgreSQL and Valkey from installed packages, and a supervisor."""
