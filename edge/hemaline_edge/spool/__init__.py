"""The durable spool: what was captured and not yet receipted, and what this device has counted."""
