//! Publishes a thousand messages over one stream and prints where the last one stands.
//!
//! Run `bugle serve`, then `cargo run --example publisher`.

use bugle::client::{Client, Message};

#[tokio::main]
async fn main() -> Result<(), bugle::error::Error> {
    let client = Client::connect("http://127.0.0.1:7600").await?;

    // One message, and wait for it.
    let receipt = client.publish("orders", Message::new("the first").with_key("customer-7")).await?;
    println!("the first message is at {receipt}");

    // Many: the publisher batches them, and `publish` waits only when too much is in flight.
    let publisher = client.publisher().build()?;
    let mut last = None;
    for number in 0..1000 {
        let message = Message::new(format!("order {number}")).with_attribute("region", "eu");
        last = Some(publisher.publish("orders", message).await?);
    }

    // A receipt is a future: it is ready once the server has accepted the message.
    if let Some(last) = last {
        println!("the last message is at {}", last.await?);
    }
    publisher.close().await
}
