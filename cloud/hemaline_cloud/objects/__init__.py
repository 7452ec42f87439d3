"""The object store: images and dead letters, in any S3 or in a directory."""
