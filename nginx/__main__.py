"""`python -m nginx render …`."""

import sys

from nginx.command import main

sys.exit(main())
