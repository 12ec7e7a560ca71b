"""What reads feedback: the worker, the ClickHouse sink and the analytics queries."""
