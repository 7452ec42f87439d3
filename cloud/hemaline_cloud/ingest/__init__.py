"""From the broker to the ledger: verify, store, commit, acknowledge, send the receipt."""
