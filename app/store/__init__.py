"""Memory: one database, SQLite by default or PostgreSQL by URL. Tables in `tables`, connections in `engine`."""
