"""Kafka and ClickHouse on this machine, without Docker: real parts in processes of their own.

    from afterword_stack.local.stack import LocalStack

    with LocalStack.temporary() as stack:
        print(stack.addresses.bootstrap_servers, stack.addresses.clickhouse_url)

Every part listens on the loopback only, keeps its ports and data in its folder, and never outlives
the process that started it.
"""
