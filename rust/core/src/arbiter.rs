//! Who wins: first arrival, by the merge rule of each stream.
