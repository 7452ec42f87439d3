"""The addresses that the API and the pages answer on."""
