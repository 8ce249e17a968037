//! The command line; only `bench` for now.

pub mod bench;
