"""`python -m trainsoc` is `trainsoc`."""

from trainsoc import main

if __name__ == "__main__":
    main()
