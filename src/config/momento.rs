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

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(listen: &str, change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        config.momento.listen = Some(listen.parse().unwrap());
        change(&mut config);
        config.momento.contradictions(&config).into_iter().map(|(_, problem)| problem).collect()
    }

    #[test]
    fn without_tls_it_is_for_this_machine_alone() {
        assert_eq!(problems("127.0.0.1:8080", |_| ()), [""; 0]);
        assert_eq!(problems("[::1]:8080", |_| ()), [""; 0]);
        assert!(problems("0.0.0.0:8080", |_| ())[0].contains("without TLS"));
        assert_eq!(problems("0.0.0.0:8080", |config| config.tls.cert = "c.pem".into()), [""; 0]);
    }

    #[test]
    fn it_has_a_port_of_its_own() {
        assert!(problems("127.0.0.1:7600", |_| ())[0].contains("`listen`"));
        assert!(problems("127.0.0.1:7601", |_| ())[0].contains("`metrics.listen`"));
    }
}
