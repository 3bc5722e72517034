"""Which attribution methods can be believed: three tests, what they are held against, and the ranking."""
