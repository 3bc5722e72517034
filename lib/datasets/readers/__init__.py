"""One file per layout, each with the functions that list what a folder holds: image files or arrays, by class."""
