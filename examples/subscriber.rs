//! Follows a topic and shows everything a subscription tells, not only its messages.
//!
//! Run `bugle serve`, then `cargo run --example subscriber`, then `bugle publish orders hello`.
//! Stop the server and start it again to see the subscription come back.

use bugle::client::{Client, Event, Start};

#[tokio::main]
async fn main() -> Result<(), bugle::error::Error> {
    let client = Client::connect("http://127.0.0.1:7600").await?;
    let mut subscription = client.subscribe("orders").from(Start::Last(10)).open().await?;

    while let Some(event) = subscription.next().await {
        match event? {
            Event::Message(message) => {
                println!("{}  {}", message.position, String::from_utf8_lossy(message.payload()));
            }
            Event::Discontinuity { reason, next, .. } => {
                println!("messages are missing before {next}: {reason}")
            }
            Event::CaughtUp { .. } => println!("that is all there was; from here on it is live"),
            Event::Heartbeat { .. } => println!("nothing new, but the server is there"),
            Event::Reconnecting { cause, delay, .. } => println!("{cause}; again in {delay:?}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
