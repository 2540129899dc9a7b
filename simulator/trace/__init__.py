"""What a training run did: ops, GEMMs, tensors, steps, epochs and the file that keeps them."""
