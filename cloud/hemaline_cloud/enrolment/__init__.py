"""Who devices are: our certificate authority, and EST, by which devices get certificates of it."""
