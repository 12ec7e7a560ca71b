"""Run what a plan was compiled to, and write the answer for programs."""
