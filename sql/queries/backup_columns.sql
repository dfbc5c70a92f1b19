-- The columns of a table.
select column_name::text as name
from information_schema.columns
where table_schema = 'public' and table_name = $1
order by ordinal_position
