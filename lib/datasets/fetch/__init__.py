"""Getting a data set: found on this machine or downloaded from its official address, checked, and safely extracted."""
