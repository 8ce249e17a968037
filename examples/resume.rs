//! Goes on where it stopped, also after the program was stopped: the position is kept in a file.
//!
//! Run `bugle serve`, then `cargo run --example resume`; stop it, publish, and run it again.

use std::path::Path;

use bugle::client::{Client, Event, Start};
use bugle::topic::Position;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = Path::new("orders.position");
    let start = match std::fs::read_to_string(file) {
        Ok(text) => Start::After(text.trim().parse::<Position>()?),
        Err(_) => Start::Earliest,
    };

    let client = Client::connect("http://127.0.0.1:7600").await?;
    let mut subscription = client.subscribe("orders").from(start).open().await?;
    while let Some(event) = subscription.next().await {
        match event? {
            Event::Message(message) => {
                println!("{}  {}", message.position, String::from_utf8_lossy(message.payload()));
                // The work first, the position after it: a crash in between repeats one message
                // and loses none. The rename makes the file whole or old, never half.
                std::fs::write("orders.position.new", message.position.to_string())?;
                std::fs::rename("orders.position.new", file)?;
            }
            // The topic kept less than this program slept, or lost its history: say so.
            Event::Discontinuity { reason, next, .. } => eprintln!("missed messages before {next}: {reason}"),
            _ => {}
        }
    }
    Ok(())
}
