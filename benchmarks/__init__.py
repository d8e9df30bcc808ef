"""`make bench`: each path of the service measured beside its limit, or beside what one would pick instead."""
