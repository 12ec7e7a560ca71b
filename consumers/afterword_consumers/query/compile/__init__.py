"""From a plan to SQL: `compile_plan` makes a statement for each type that the measure may have.

What users wrote never becomes SQL: column names come from a closed list, all else is a parameter.
"""
