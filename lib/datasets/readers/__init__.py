"""One reader per layout or file format of a data set: each turns files into an index, or into arrays with an index."""
