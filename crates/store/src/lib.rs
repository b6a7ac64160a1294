//! Remember: the journal, and the only room with SQL.
