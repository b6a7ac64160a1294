//! Tests of the whole program.

mod end_to_end;
