"""A data set's files: found on this machine or downloaded (`acquire`), and unpacked safely (`archives`)."""
