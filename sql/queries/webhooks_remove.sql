-- Remove an endpoint. Its deliveries stay for those who look back, until their time is over.
delete from webhook_endpoints where id = $1 returning id
