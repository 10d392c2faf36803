//! metagate
fn main() {}
