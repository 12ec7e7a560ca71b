"""What a person sees: console, tables, files that appear whole, the end at Ctrl-C."""
