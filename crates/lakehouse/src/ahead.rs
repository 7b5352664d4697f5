//! Runs a stream in a task of its own, a few items ahead of whoever reads it, so that reading and writing share two cores.

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

/// Items that wait to be taken: more would only hold memory.
const AHEAD: usize = 2;

/// The same items. The task ends with the stream, or when nobody reads any more. Should it panic, the items end early,
/// which whoever counts them notices: a report has an end, and a day its rows.
pub(crate) fn ahead<T: Send + 'static>(items: impl Stream<Item = T> + Send + 'static) -> impl Stream<Item = T> + Unpin {
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut items = std::pin::pin!(items);
        while let Some(item) = items.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    });
    futures::stream::poll_fn(move |context| receiver.poll_recv(context))
}
