"""The operator: judges what the objects ask for against what is there, and acts."""
