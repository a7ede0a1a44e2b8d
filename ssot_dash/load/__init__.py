"""Developers' measurements of the whole site: a database full of rows, every page timed, a crowd at once."""
