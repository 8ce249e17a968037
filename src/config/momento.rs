//! The section `momento`: how clients of Momento are served.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, collide};
use crate::limits;

/// The section `momento`.
#[derive(Debug, Clone)]
pub struct Momento {
    /// A second address, where their local providers look; `None` is the main one alone.
    pub listen: Option<SocketAddr>,
    /// A subscription that waits hears something this often.
    pub heartbeat_interval: Duration,
    /// `latest` or `none`.
    pub replay_on_fresh_subscribe: &'static str,
    /// What tokens name as the server's endpoint; empty is where their call went.
    pub endpoint: String,
}

impl Default for Momento {
    fn default() -> Self {
        Momento {
            listen: None,
            heartbeat_interval: limits::MOMENTO_HEARTBEAT_DEFAULT,
            replay_on_fresh_subscribe: "latest",
            endpoint: String::new(),
        }
    }
}

impl Momento {
    /// What is wrong between options that are each right.
    pub fn contradictions(&self, config: &Config) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let Some(address) = self.listen else { return found };
        if config.tls.cert.is_empty() && !address.ip().is_loopback() {
            found.push(("momento.listen", exposed(address)));
        }
        let others = [("listen", Some(config.listen)), ("metrics.listen", config.metrics.listen)];
        for (key, other) in others {
            if other.is_some_and(|other| collide(address, other)) {
                let port = address.port();
                found.push((
                    "momento.listen",
                    format!("takes the port {port} of `{key}`; give it another one"),
                ));
            }
        }
        found
    }
}

/// Why a second address is not listened on.
pub fn exposed(address: SocketAddr) -> String {
    format!(
        "{address} is open to other machines, and without TLS: give tls.cert and tls.key, or listen on 127.0.0.1"
    )
}
