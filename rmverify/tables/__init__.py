"""Rate tables for people and for programs: side by side, JSON, CSV, Markdown, LaTeX and pictures."""
