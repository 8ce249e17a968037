//! SIGHUP: reading the configuration again while the server runs.
//!
//! From the same sources as at the start. What can be changed in a running server is changed, which
//! is the filter of the log, the quotas, who may do what, and the files of TLS; of every other option that
//! says something else now, a line says that it waits for a restart. A configuration with a mistake changes
//! nothing.
//!
//! A terminal that goes away sends the same signal to what was started from it. Nobody would expect
//! the server to outlive it then, so that one means the end.

use std::convert::Infallible;
use std::io::IsTerminal;

use tokio::signal::unix::Signal;

use crate::config::{Loaded, Mistakes, OPTIONS, Origin, Sources};
use crate::error::Result;
use crate::server::Live;
use crate::telemetry::Logging;

/// An option that is changed in a running server, and where others begin that are where it speaks TLS before
/// and afterwards.
const LIVE: &str = "log.level";
const LIVE_WITH_TLS: &str = "tls.";

/// What a configuration that is read again is compared with, and applied to.
pub struct Reload {
    sources: Sources,
    running: Loaded,
    logging: Logging,
}

impl Reload {
    /// The configuration that the server runs with, where it came from, and its log.
    pub fn new(sources: Sources, running: Loaded, logging: Logging) -> Self {
        Reload { sources, running, logging }
    }

    /// Reads the configuration again at each of these signals, and applies it to this server.
    pub async fn follow(&self, mut hangups: Signal, terminal: Terminal, live: Live) -> Infallible {
        loop {
            // There is no end of a signal before that of the runtime.
            if hangups.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            if !terminal.is_gone() {
                self.read(&live).await;
            }
        }
    }

    async fn read(&self, live: &Live) {
        let sources = self.sources.clone();
        // Reading waits for the disk, or for whoever writes into a pipe.
        let outcome = match tokio::task::spawn_blocking(move || sources.load()).await {
            Ok(Ok(loaded)) => self.apply(&loaded, live).map_err(|error| error.to_string()),
            Ok(Err(mistakes)) => Err(one_line(&mistakes)),
            Err(error) => Err(error.to_string()),
        };
        if let Err(problem) = outcome {
            tracing::error!(problem, "the configuration was read again and not applied; nothing has changed");
        }
    }

    fn apply(&self, fresh: &Loaded, live: &Live) -> Result<()> {
        live.apply(&fresh.config)?;
        self.logging.set_filter(&fresh.config.log.level)?;
        let differing = differing(&self.running, fresh);
        for key in &differing {
            tracing::warn!(option = key, from = %fresh.origin(key), "this option has changed; restart to apply it");
        }
        tracing::info!(
            filter = self.logging.filter(),
            quotas = fresh.config.quotas.len(),
            policies = fresh.config.policies.len(),
            issuers = fresh.config.issuers.len(),
            webhooks = fresh.config.endpoints.len(),
            waiting = differing.len(),
            "read the configuration again"
        );
        Ok(())
    }
}

/// The options that wait for a restart. A default can differ by itself, as that of the memory does
/// when the machine has other limits: nobody has asked for that.
fn differing(running: &Loaded, fresh: &Loaded) -> Vec<&'static str> {
    let is_said = |key| [running, fresh].iter().any(|loaded| loaded.origin(key) != Origin::Default);
    let has_tls = [running, fresh].iter().all(|loaded| !loaded.config.tls.cert.is_empty());
    let is_live = |key: &str| key == LIVE || has_tls && key.starts_with(LIVE_WITH_TLS);
    let differ = OPTIONS.iter().filter(|option| {
        (option.get)(&running.config) != (option.get)(&fresh.config) && !is_live(option.key)
    });
    differ.map(|option| option.key).filter(|key| is_said(key)).collect()
}

fn one_line(mistakes: &Mistakes) -> String {
    mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The terminal that the process was started from, if any.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    were: [bool; 3],
}

impl Terminal {
    /// As it is now.
    pub fn now() -> Self {
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        Terminal { were: [input.is_terminal(), output.is_terminal(), errors.is_terminal()] }
    }

    /// Whether it was there and is not any more.
    pub fn is_gone(&self) -> bool {
        let are = Terminal::now().were;
        self.were.iter().zip(are).any(|(was, is)| *was && !is)
    }
}
