"""The demo: a whole pipeline on this machine, fed, awaited and asked."""
