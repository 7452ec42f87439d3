"""The page for the technologist at the microscope."""
