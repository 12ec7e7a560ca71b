"""The one room that knows the ClickHouse client."""
