"""`python -m xtrader`."""

from xtrader.cli import main

if __name__ == "__main__":
    main()
