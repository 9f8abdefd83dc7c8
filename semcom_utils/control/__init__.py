"""Methods that share out what is scarce, no paper's own: exact optima, learning agents, association, queues."""
