"""The order domain; imports the standard library alone."""
