"""What users write, and how it is read: `parse` makes a `Plan` of a `Question`, once.

Nothing here knows SQL or a database.
"""
