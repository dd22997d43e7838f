"""`python -m digits.page`: serve the page on which digits are drawn and read."""

import sys

from digits.page.server import main

if __name__ == "__main__":
    sys.exit(main())
