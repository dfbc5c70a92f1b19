-- Empty what was written beside deeds about erased customers: who did what when stays.
update audit set detail = '', note = '' where user_id = any ($1::bigint[]) and (detail <> '' or note <> '')
