//! The whole bus inside another program: no process beside it, and the same API on a port.
//!
//! Run `cargo run --example embed`.

use bugle::client::{Client, Start};
use bugle::config::Config;
use bugle::error::Error;
use bugle::server::Server;
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Error> {
    // Port 0 takes a free port; the server says which.
    let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    // A program that embeds the bus decides about its ports itself, so there is none for metrics.
    config.metrics.listen = None;
    let server = Server::bind(config).await?;
    let address = server.local_addr();

    // The program decides when the bus ends: here, when `stop` is sent or dropped.
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    println!("the bus listens on {address}");

    let client = Client::connect(format!("http://{address}")).await?;
    let receipt = client.publish("greetings", "hello from inside").await?;
    println!("published at {receipt}");

    let mut subscription = client.subscribe("greetings").from(Start::Earliest).open().await?;
    if let Some(message) = subscription.next_message().await {
        println!("heard: {}", String::from_utf8_lossy(message?.payload()));
    }

    // An orderly end: subscriptions are told, and clients get the grace of the configuration.
    drop((subscription, client, stop));
    if let Ok(drained) = running.await {
        println!("ended; connections that had to be cut: {}", drained?.cut);
    }
    Ok(())
}
