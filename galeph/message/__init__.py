"""What HTTP says: headers, fields, URLs, dates. Pure: no I/O, no clock, no role."""
