-- Delete bodies that name an erased customer and count them.
with gone as (
  delete from quarantine where id = any ($1::bigint[]) returning 1
)
update erasures set quarantined = quarantined + (select count(*) from gone), worked_at = now() where id = $2
