"""What the channels of a model look for: their maps, filters and favourite images, and images made for them."""
