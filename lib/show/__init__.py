"""What people look at: notebooks, views, the explorer, the report, and what is published."""
