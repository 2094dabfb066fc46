"""What the scripts beside this package are made of: selection methods, models, files, figures."""

import gc

# A job begins with imports, and most of their objects stay: looking for garbage among them, again
# and again, took a fifth of that time. `log.start` brings the collector back to its usual pace.
COLLECTION = gc.get_threshold()
gc.set_threshold(1_000_000)
