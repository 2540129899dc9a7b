"""How the programs that open our files read them."""
