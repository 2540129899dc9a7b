"""One product on one array: loop nests that fit, what they move, the best of them."""
