"""``python -m rrvf`` equals ``rrvf``."""

from rrvf.cli import main

if __name__ == "__main__":
    main()
