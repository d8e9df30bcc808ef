"""`make soak`: the whole service under a steady load for a quarter of an hour; does anything grow that should not?"""
