"""Attribution methods, one per file: which pixels of an image speak for a class, as maps of the size of the image."""
