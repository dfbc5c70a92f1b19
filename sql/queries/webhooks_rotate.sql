-- Put a new secret of an endpoint in force; the one before it signs as well for so many seconds.
update webhook_endpoints
set old_secret = secret, old_secret_until = now() + make_interval(secs => $3), secret = $2
where id = $1
returning old_secret_until
