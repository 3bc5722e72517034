"""Can a map be trusted? Scored against object masks, by deleting what it marks, and by shuffling the weights."""
