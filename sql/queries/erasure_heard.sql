-- A replica holds nothing any more of the customers of these erasures.
update erasures set heard_by = array_append(heard_by, $1) where id = any ($2::bigint[]) and not $1 = any (heard_by)
