"""What watches the service from outside: rules for Prometheus, dashboards for Grafana, and what draws these."""
