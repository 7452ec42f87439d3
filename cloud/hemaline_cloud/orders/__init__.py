"""Orders of the laboratory and whose blood it is: barcodes, identities, what is read in."""
