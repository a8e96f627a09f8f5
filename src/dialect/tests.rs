//! What holds for every dialect.
