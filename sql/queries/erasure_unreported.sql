-- Delete delivery reports that name an erased customer.
with gone as (
  delete from reports where dedup = any ($1::bytea[])
)
update erasures set worked_at = now() where id = $2
