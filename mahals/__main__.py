"""Main module: how does `python -m mahals` start?"""

from mahals.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
