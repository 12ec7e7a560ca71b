"""What every route needs of HTTP: sockets, bodies, answers, counters. Knows no event."""
