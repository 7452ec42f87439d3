"""PostgreSQL: the queue and the ledger. Repositories own every query."""
