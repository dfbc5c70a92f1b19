"""When, not what: mailboxes, groups, pools and sweeps over the ports."""
