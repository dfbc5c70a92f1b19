-- Limit how long this transaction waits for a lock (ms), and with it everybody who waits behind it.
select set_config('lock_timeout', $1, true)
