"""Workers that run flows in Snowflake."""
