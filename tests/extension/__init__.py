"""What packages outside `simulator` can add to it."""
