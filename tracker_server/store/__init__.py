"""The store: tables, and every statement of SQL."""
