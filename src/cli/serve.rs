//! `bugle serve`: gathers the sources of the configuration, starts the server, and turns signals
//! into its orderly end.
//!
//! The first SIGTERM or SIGINT drains; a second one ends the process at once, which shows as an
//! error with [`Code::Cancelled`], so that scripts can tell the two apart by the exit code. SIGHUP
//! reads the configuration again.

mod reload;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, Loaded, Origin, PORT, Raw, STANDARD_PREFIX, Setting, Sources};
use crate::error::{Code, Error, Result};
use crate::limits::GLOBAL_QUEUE_INTERVAL;
use crate::server::Server;
use crate::telemetry::{self, Logging};
use reload::{Reload, Terminal};

const AFTER_HELP: &str = "\
Options come from the file, then the standard OTEL_… variables, then BUGLE_… variables, then flags;
the later wins. Every option has a key such as limits.max_connections, which is
BUGLE_LIMITS_MAX_CONNECTIONS in the environment and `--set limits.max_connections=…` here.
`bugle serve --check` prints them all.

Signals:
  SIGTERM, SIGINT  end the server in order, within the drain grace; a second one ends it at once
  SIGHUP           reads the configuration again and applies log.level, quotas, policies and webhooks; of other
                   options that have changed the log says that they need a restart, and a
                   configuration with a mistake changes nothing

Examples:
  bugle serve
  bugle serve --listen 0.0.0.0:7600 --insecure --memory-budget 2GiB --namespace orders
  bugle serve --set limits.max_connections=500 --set retention.age=24h
  bugle serve --check > bugle.toml     # every option and its documentation
  bugle serve --config bugle.toml";

/// The flags of `bugle serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct ServeArgs {
    /// Read this configuration file (TOML); BUGLE_CONFIG in the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective configuration, with documentation and origins, and do not start.
    #[arg(long)]
    check: bool,
    /// Listen on this IP address and port [default: 127.0.0.1:7600].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Serve metrics and health on this IP address and port, or off [default: 127.0.0.1:7601].
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Serve clients of Momento on this IP address and port too, such as 127.0.0.1:8080, where their
    /// local providers look: without TLS on a loopback address.
    #[arg(long, value_name = "ADDR")]
    momento: Option<String>,
    /// Most memory for messages, topics and subscriptions, such as 512MiB [default: a quarter of
    /// what the process may use].
    #[arg(long, value_name = "SIZE")]
    memory_budget: Option<String>,
    /// On SIGTERM or SIGINT, give clients this long to leave [default: 10s].
    #[arg(long, value_name = "DURATION")]
    drain_grace: Option<String>,
    /// Listen beyond this machine while nobody has to say who they are: everybody who reaches the
    /// server may do everything.
    #[arg(long)]
    insecure: bool,
    /// A namespace that exists from the start; may be repeated.
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// What is logged: error, warn, info, debug or trace, and levels of modules after commas, such
    /// as info,bugle::broker=debug [default: info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How it is logged: auto, pretty or json [default: auto].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Set any option by its key; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// An option's key and value.
///
/// # Errors
/// How to write them.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE, such as retention.age=24h")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

impl ServeArgs {
    /// The sources these flags and this environment make.
    fn sources(self, environment: Vec<(String, String)>) -> Sources {
        let mut flags: Vec<Setting> = self
            .set
            .into_iter()
            .map(|(key, value)| Setting { flag: format!("--set {key}"), key, raw: Raw::Text(value) })
            .collect();
        for (key, flag, value) in [
            ("listen", "--listen", self.listen),
            ("metrics.listen", "--metrics", self.metrics),
            ("momento.listen", "--momento", self.momento),
            ("memory_budget", "--memory-budget", self.memory_budget),
            ("drain_grace", "--drain-grace", self.drain_grace),
            ("log.level", "--log-level", self.log_level),
            ("log.format", "--log-format", self.log_format),
        ] {
            let raw = value.map(Raw::Text);
            flags.extend(raw.map(|raw| Setting { key: key.to_owned(), raw, flag: flag.to_owned() }));
        }
        if self.insecure {
            let raw = Raw::Text("true".to_owned());
            flags.push(Setting { key: "auth.insecure".to_owned(), raw, flag: "--insecure".to_owned() });
        }
        if !self.namespaces.is_empty() {
            let raw = Raw::List(self.namespaces);
            flags.push(Setting { key: "namespaces".to_owned(), raw, flag: "--namespace".to_owned() });
        }
        Sources { file: self.config, environment, flags }
    }
}

/// Runs the server until a signal ends it. See the module for errors.
pub async fn run(args: ServeArgs) -> Result<()> {
    let check = args.check;
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with("BUGLE_") || name.starts_with(STANDARD_PREFIX))
        .collect();
    let sources = args.sources(environment);
    let loaded = sources.clone().load()?;
    if check {
        return print(&loaded.to_toml());
    }
    serve(sources, loaded).await
}

async fn serve(sources: Sources, loaded: Loaded) -> Result<()> {
    let asked_for_connections = loaded.origin("limits.max_connections") != Origin::Default;
    let logging = telemetry::start(&loaded.config.log)?;
    if !loaded.unknown_variables.is_empty() {
        tracing::warn!(variables = ?loaded.unknown_variables, "these environment variables are no options");
    }
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "this variable is passed over");
    }
    let config = loaded.config.clone();
    if !config.core_dumps {
        refuse_core_dumps();
    }
    refuse_huge_pages();
    let files = raise_file_limit();
    if let Some(files) = files.filter(|files| asked_for_connections && *files < config.limits.max_connections)
    {
        tracing::warn!(files, "fewer files than limits.max_connections may be open; `ulimit -n` raises that");
    }
    let runtime = threads(config.threads)?;
    let reload = Reload::new(sources, loaded, logging.clone());
    let ended = runtime.spawn(until_told(config, logging, reload)).await;
    // Not waited for: after a second signal the end is at once.
    runtime.shutdown_background();
    ended.map_err(|error| Error::new(Code::Internal, "the server failed").because(error))?
}

/// The threads that connections are served by.
fn threads(count: u64) -> Result<Runtime> {
    let count = usize::try_from(count).unwrap_or(1);
    Builder::new_multi_thread()
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .worker_threads(count)
        .thread_name("bugle")
        .enable_all()
        .build()
        .map_err(|error| {
            let message =
                format!("the system does not give {count} threads: {error}; set `threads` to fewer");
            Error::new(Code::ResourceExhausted, message).because(error)
        })
}

/// Runs the server until a signal says that it is to end, and ends it.
async fn until_told(config: Config, logging: Logging, reload: Reload) -> Result<()> {
    let mut signals = Signals::new()?;
    let is_secure = !config.tls.cert.is_empty();
    let hangups = heard(SignalKind::hangup())?;
    let server = Server::bind(config).await?.with_logging(logging);
    let reloads = reload.follow(hangups, signals.terminal, server.live());
    let address = server.local_addr();
    print(&format!("bugle listens on {address}\n"))?;
    if let Some(momento) = server.momento_addr() {
        print(&format!("clients of Momento also on {momento}\n"))?;
    }
    if let Some(metrics) = server.metrics_addr() {
        print(&format!("metrics and health on http://{metrics}/metrics, /healthz, /readyz\n"))?;
    }
    print(&format!("{}\n", lesson(address, is_secure)))?;
    let (first, drain) = tokio::sync::oneshot::channel::<()>();
    let server = server.run(async {
        // An error means that the sender is gone with the whole of this function.
        let _ = drain.await;
    });
    let second = async {
        signals.next().await;
        let _ = first.send(());
        signals.next().await;
    };
    tokio::select! {
        ended = finish(server, second) => ended,
        never = reloads => match never {},
    }
}

async fn finish(
    server: impl Future<Output = Result<crate::server::Drained>>,
    second: impl Future<Output = ()>,
) -> Result<()> {
    tokio::select! {
        drained = server => {
            tracing::info!(cut = drained?.cut, "ended");
            Ok(())
        }
        () = second => Err(Error::new(Code::Cancelled, "a second signal ended the server before it had drained")),
    }
}

/// How to try the bus that listens here.
fn lesson(address: SocketAddr, is_secure: bool) -> String {
    if is_secure {
        // The name that its certificate is for is not known here.
        let port = address.port();
        return format!(
            "try: `bugle publish greetings hello --server https://NAME:{port}`, and maybe --tls-ca FILE"
        );
    }
    let server = match (address.ip().is_unspecified(), address.port()) {
        (true, PORT) => String::new(),
        (false, PORT) if address.ip().is_loopback() && address.is_ipv4() => String::new(),
        (true, port) => format!(" --server http://127.0.0.1:{port}"),
        (false, _) => format!(" --server http://{address}"),
    };
    format!(
        "try: `bugle subscribe greetings{server}`, and in another terminal \
         `bugle publish greetings hello{server}`"
    )
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // The reader has seen enough, as with `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Error::new(Code::Internal, format!("cannot write to standard output: {error}"))
                .because(error))
        }
    }
}

/// SIGTERM and SIGINT, which mean the same, and a terminal that goes away.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    terminal: Terminal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Signals {
            terminate: heard(SignalKind::terminate())?,
            interrupt: heard(SignalKind::interrupt())?,
            hangup: heard(SignalKind::hangup())?,
            terminal: Terminal::now(),
        })
    }

    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.terminal.is_gone() {
                        return;
                    }
                }
            }
        }
    }
}

fn heard(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| {
        Error::new(Code::Internal, format!("cannot listen for signals: {error}")).because(error)
    })
}

/// Every connection is a file descriptor, and most systems start a process with 1,024 of them and
/// allow it to ask for more. Returns how many may be open; `None` means any number.
fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::info!(limit = limit.current, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current
}

/// A core dump is the memory of the process: messages, credentials in the buffers of connections, and what
/// tokens are signed with. The hard limit stays, so that an operator can allow one with `prlimit`.
fn refuse_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be turned off; `ulimit -c 0` before the start does it");
    }
}

/// With transparent huge pages every buffer that a connection reserves and never fills is resident:
/// 46 kB for an idle connection instead of 25, as measured.
#[cfg(target_os = "linux")]
fn refuse_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::info!(%error, "huge pages could not be turned off; idle connections cost more memory");
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_huge_pages() {}
