"""What is stored, looked at: paths, traces, promoted columns."""
