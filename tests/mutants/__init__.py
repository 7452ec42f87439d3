"""`make mutants`: small wrong changes in the core modules, and whether their own tests notice."""
