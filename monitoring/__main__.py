"""`python -m monitoring` draws the dashboards anew, after a change in `monitoring/panels.py`."""

from monitoring.drawing import FOLDER, rendered
from monitoring.panels import DASHBOARDS

if __name__ == "__main__":
    for dashboard in DASHBOARDS:
        (FOLDER / dashboard.file).write_text(rendered(dashboard), encoding="utf-8")
