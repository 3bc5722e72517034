"""Reading a trained network: its layers in order, their outputs and gradients, and which pixels each position sees."""
