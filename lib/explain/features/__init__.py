"""What the parts of a network look for: feature maps, filters, and the images that excite a unit most."""
