"""A model taken apart: its layers, its logits, its gradients, what a position of a layer sees; and checked images."""
