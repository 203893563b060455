//! Tests of the whole chain, through the built programs (`remedis-programs`): see `tests/`.
