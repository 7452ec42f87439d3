"""The read API and the result pages. It meets the pipeline only in the database and the store."""
