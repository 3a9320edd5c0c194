"""`python -m nginx render …`."""

import sys

from nginx.render import main

sys.exit(main())
