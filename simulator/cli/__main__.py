"""`python -m simulator.cli` is `trainsoc`."""

from simulator.cli import main

if __name__ == "__main__":
    main()
