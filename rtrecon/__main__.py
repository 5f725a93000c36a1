"""`python -m rtrecon`."""

from rtrecon.cli import main

if __name__ == "__main__":
    main()
