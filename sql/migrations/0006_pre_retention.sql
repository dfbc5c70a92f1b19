-- no transaction
create index concurrently reports_received on reports (received_at);
