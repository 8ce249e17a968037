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

/// What clients of Momento call; the modules are its packages.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod momento {
    pub mod auth {
        include!("proto/momento/auth.rs");
    }
    pub mod cache_client {
        include!("proto/momento/cache_client.rs");
        pub mod pubsub {
            include!("proto/momento/cache_client.pubsub.rs");
        }
    }
    pub mod control_client {
        include!("proto/momento/control_client.rs");
    }
    pub mod permission_messages {
        include!("proto/momento/permission_messages.rs");
    }
    pub mod token {
        include!("proto/momento/token.rs");
    }
}

/// The encoded `FileDescriptorSet` of what clients of Momento call.
pub const MOMENTO_DESCRIPTORS: &[u8] = include_bytes!("proto/momento/descriptor.bin");

/// The encoded `FileDescriptorSet` of the native API, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("proto/descriptor.bin");
