//! A server on its own thread, stopped and joined on drop.

use std::{
    collections::HashSet,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    panic,
    sync::{Mutex, Once, PoisonError},
    thread::{self, JoinHandle, ThreadId},
};

use tokio::{net::TcpListener, sync::oneshot};

/// Dropping it fails the test if anything panicked on the server's thread, including connections and handlers.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Runs `serve` with a listener on a free loopback port.
    pub fn start<F, S>(serve: F) -> Self
    where
        F: FnOnce(TcpListener) -> S + Send + 'static,
        S: Future<Output = ()>,
    {
        watch_for_panics();
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let socket = TcpListener::from_std(socket).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = serve(socket) => panic!("the server ended unexpectedly"),
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(server) = self.thread.take() else { return };
        let id = server.thread().id();
        let joined = server.join();
        if !thread::panicking() {
            assert!(joined.is_ok() && !has_panicked(id), "the server panicked");
        }
    }
}

static PANICKED: Mutex<Option<HashSet<ThreadId>>> = Mutex::new(None);

fn has_panicked(id: ThreadId) -> bool {
    let panicked = PANICKED.lock().unwrap_or_else(PoisonError::into_inner);
    panicked.as_ref().is_some_and(|threads| threads.contains(&id))
}

/// The runtime catches a task's panic, so a panic hook records the threads.
fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICKED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_default()
                .insert(thread::current().id());
            print(panic);
        }));
    });
}
