"""A model taken apart: its layers one by one, its gradients, what a position of a layer sees; and checked images."""
