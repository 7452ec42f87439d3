"""Backup and restore: base backups, the log (WAL) that follows them, and the object store."""
