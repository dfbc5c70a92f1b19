-- Set the time limit of statements for the rest of the session; an index on a large table takes longer than any other.
select set_config('statement_timeout', $1, false)
