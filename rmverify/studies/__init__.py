"""How many steps, evaluations or rounds an accuracy takes, and how that grows: least counts, fits and tables."""
