"""Ingest, inference, storage, API and portal."""
