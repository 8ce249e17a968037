//! A thousand subscriptions on one connection, and how long until each has heard a message.
//!
//! Run `bugle serve`, then `cargo run --release --example many_subscribers`.

use std::time::Instant;

use bugle::client::Client;
use bugle::error::Error;
use futures::future::try_join_all;

const SUBSCRIBERS: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect("http://127.0.0.1:7600").await?;

    // `open` returns when the server has confirmed the subscription, so no message is missed.
    let opening = (0..SUBSCRIBERS).map(|_| client.subscribe("announcements").open());
    let subscriptions = try_join_all(opening).await?;
    println!("{} subscriptions are open", subscriptions.len());

    let began = Instant::now();
    client.publish("announcements", "one bugle call").await?;
    println!("published after {:?}", began.elapsed());

    let heard = subscriptions.into_iter().map(|mut subscription| async move {
        match subscription.next_message().await {
            Some(message) => message.map(|_| began.elapsed()),
            None => unreachable!("a subscription ends with an error"),
        }
    });
    let mut times = try_join_all(heard).await?;
    times.sort();
    println!("half had heard it after {:?}, all after {:?}", times[SUBSCRIBERS / 2], times[SUBSCRIBERS - 1]);
    Ok(())
}
