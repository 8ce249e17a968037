//! The wire types, generated from `proto/` and committed; `tests/generated.rs` proves them fresh.
//!
//! Only `api`, `client` and the server's start-up use them: everything below speaks the domain's
//! own types, and the conversion is one file per protocol.

/// The native API, package `bugle.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod v1 {
    include!("proto/bugle.v1.rs");
}

/// The encoded `FileDescriptorSet` of the native API, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("proto/descriptor.bin");
