//! Who is calling.
//!
//! The listener puts a [`Principal`] into the extensions of every request; what a principal may do
//! is decided in `api`, before the broker is called. Today connections carry no identity, so there
//! is one principal and nothing to decide.

/// The caller of a request, as far as the connection proves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// A connection without any proof of identity.
    #[default]
    Anonymous,
}
