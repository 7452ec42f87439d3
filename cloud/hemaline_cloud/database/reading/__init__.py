"""What the API reads: one query for each page of rows, ordered by a key that pages can follow."""
