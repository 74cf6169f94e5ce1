"""The tables: each module's `rows()` makes the rows of one family of calls."""
