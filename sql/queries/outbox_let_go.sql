-- Of these messages those that this replica still claims are anybody's from now on.
update messages set claimed_by = '-', claimed_until = null where id = any ($2::uuid[]) and claimed_by = $1
