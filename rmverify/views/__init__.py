"""Results for people and for programs: tables, JSON, CSV, Markdown, LaTeX, pages and pictures."""
