//! An upstream that responds on the test's signal.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// HTTP/1.1 without TLS. Every request waits until [`release`](Self::release).
pub struct SlowUpstream {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    released: watch::Sender<bool>,
}

impl SlowUpstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (released, waiting) = watch::channel(false);
        let counted = asked.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, counted.clone(), waiting.clone()));
            }
        });
        Self { address, asked, released }
    }

    /// Waits until this many requests have arrived.
    pub async fn asked(&self, count: usize) {
        super::eventually("the requests to arrive", || self.asked.load(Ordering::SeqCst) >= count).await;
    }

    pub fn requests(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Responds to all waiting and future requests.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// Serves requests without a body.
async fn serve(mut socket: TcpStream, asked: Arc<AtomicUsize>, mut released: watch::Receiver<bool>) {
    let mut read = Vec::new();
    loop {
        while !read.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 4_096];
            match socket.read(&mut bytes).await {
                Ok(count) if count > 0 => read.extend_from_slice(&bytes[..count]),
                _ => return,
            }
        }
        read.clear();
        asked.fetch_add(1, Ordering::SeqCst);
        let _ = released.wait_for(|released| *released).await;
        if socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow").await.is_err() {
            return;
        }
    }
}
