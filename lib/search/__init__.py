"""Architecture search under a wall clock: who proposes trials, how they are tried, and what is kept of them."""
