//! A line to the database that can be cut around the COMMIT of a cycle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What only the transaction that lands a cycle says.
const LANDING: &[u8] = b"INSERT INTO commits";
const COMMIT: &[u8] = b"COMMIT";

/// When the line goes dead. It happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Never.
    Never,
    /// Before COMMIT reaches the server: it did not happen.
    Before,
    /// When COMMIT has reached the server, at once: it may not have happened yet.
    During,
    /// When the server has answered, instead of passing its answer on: it happened.
    After,
}

/// The line.
#[derive(Debug)]
pub(super) struct Line {
    url: String,
    cut: Arc<AtomicU8>,
    carrier: JoinHandle<()>,
}

impl Line {
    /// A line to the server of this URL.
    pub(super) async fn to(url: &str) -> Self {
        let (before, rest) = url.rsplit_once('@').unwrap();
        let (server, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("{before}@{}/{path}", listener.local_addr().unwrap());
        let cut = Arc::new(AtomicU8::new(Cut::Never as u8));
        let carrier = tokio::spawn(carry(listener, server.to_owned(), Arc::clone(&cut)));
        Self { url: own, cut, carrier }
    }

    /// The URL of its near end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the line at the next COMMIT of a cycle.
    pub(super) fn cut(&self, when: Cut) {
        self.cut.store(when as u8, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

async fn carry(listener: TcpListener, server: String, cut: Arc<AtomicU8>) {
    while let Ok((near, _)) = listener.accept().await {
        let far = TcpStream::connect(&server).await.unwrap();
        tokio::spawn(connect(near, far, Arc::clone(&cut)));
    }
}

/// Carries one connection until an end hangs up, or the line is cut.
async fn connect(near: TcpStream, far: TcpStream, cut: Arc<AtomicU8>) {
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    // Set when COMMIT is on its way and its answer is not to be passed on.
    let deaf = Arc::new(AtomicU8::new(0));
    tokio::select! {
        () = ask(near_in, far_out, &cut, &deaf) => {}
        () = answer(far_in, near_out, &deaf) => {}
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &AtomicU8, deaf: &AtomicU8) {
    let (mut buffer, mut lands) = (vec![0; 64 * 1024], false);
    loop {
        let count = from.read(&mut buffer).await.unwrap_or_default();
        if count == 0 {
            return;
        }
        let said = &buffer[..count];
        lands |= contains(said, LANDING);
        let mut when = Cut::Never as u8;
        if lands && contains(said, COMMIT) {
            when = cut.swap(Cut::Never as u8, Ordering::SeqCst);
        }
        if when == Cut::Before as u8 {
            return;
        }
        if when == Cut::After as u8 {
            deaf.store(1, Ordering::SeqCst);
        }
        if to.write_all(said).await.is_err() || when == Cut::During as u8 {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: &AtomicU8) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or_default();
        if count == 0 || deaf.load(Ordering::SeqCst) == 1 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn contains(said: &[u8], words: &[u8]) -> bool {
    said.windows(words.len()).any(|window| window == words)
}
