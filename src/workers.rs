//! Threads that serve connections, with a runtime each.

use std::cell::Cell;

#[cfg(feature = "acceptor")]
pub(crate) use self::threads::Seat;
#[cfg(feature = "acceptor")]
pub use self::threads::Workers;

thread_local! {
    /// Number of the worker that this thread is. 0: none.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// Returns the number of the worker on whose thread this runs. 0: none.
#[cfg_attr(not(feature = "outbound"), allow(dead_code, reason = "for pools"))]
pub(crate) fn current() -> usize {
    NUMBER.get()
}

#[cfg(feature = "acceptor")]
mod threads {
    use std::{
        convert::Infallible,
        io,
        num::NonZero,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread,
    };

    use tokio::{
        runtime::{Builder, Handle},
        sync::oneshot,
    };

    use super::NUMBER;

    /// Threads for blocking work, of all workers together and at least of each. Names of upstreams are resolved on them.
    const MAX_BLOCKING: usize = 512;
    const MIN_BLOCKING: usize = 8;

    /// Threads that serve connections, each with a Tokio runtime of one thread.
    ///
    /// A listener [on workers](crate::MtlsListener::on_workers) assigns each connection to the worker with the fewest
    /// connections. With [`serve`](crate::serve()), its handshake and its requests run there for as long as it is open. An upstream
    /// connection stays on the worker that opened it; an [`MtlsClient`](crate::MtlsClient) prefers idle connections of the
    /// request's worker, and uses those of another before it opens one. Compared with a runtime that steals work this takes
    /// 18 to 36 % less CPU time per request, measured with two threads. A service that blocks its thread delays all
    /// connections of that worker: see [`spawn_blocking`](tokio::task::spawn_blocking).
    ///
    /// The threads end with the last clone, the last listener and the last connection, and tasks that a service has spawned
    /// end with them.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use std::num::NonZero;
    /// use tokio::net::TcpListener;
    /// use tower_mtls::{MtlsListener, ServerTls, Workers, acceptor::ListenerLimits};
    ///
    /// let workers = Workers::start(NonZero::<usize>::MIN.saturating_add(1))?;
    /// assert_eq!(workers.count(), 2);
    /// let socket = TcpListener::bind("127.0.0.1:0").await?;
    /// let tls = ServerTls::from_pem(chain, key)?;
    /// let listener = MtlsListener::on_workers(socket, tls, ListenerLimits::default(), &workers)?;
    /// # drop(listener);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    #[derive(Debug, Clone)]
    pub struct Workers {
        workers: Arc<[Arc<Worker>]>,
        /// The worker at which the next search begins.
        next: Arc<AtomicUsize>,
    }

    #[derive(Debug)]
    struct Worker {
        runtime: Handle,
        /// Number of connections, handshakes included.
        connections: AtomicUsize,
        /// Dropping it ends the thread.
        _stop: oneshot::Sender<Infallible>,
    }

    /// Seat of one connection on a worker.
    #[derive(Debug)]
    pub(crate) struct Seat(Arc<Worker>);

    impl Workers {
        /// Starts this number of threads.
        ///
        /// # Errors
        ///
        /// A thread or its runtime cannot be created.
        pub fn start(count: NonZero<usize>) -> io::Result<Self> {
            let max_blocking = (MAX_BLOCKING / count).max(MIN_BLOCKING);
            let workers = (1..=count.get()).map(|number| Worker::start(number, max_blocking).map(Arc::new));
            Ok(Self { workers: workers.collect::<io::Result<_>>()?, next: Arc::default() })
        }

        /// Returns the number of threads.
        pub fn count(&self) -> usize {
            self.workers.len()
        }

        /// Takes a seat on the worker with the fewest connections.
        pub(crate) fn seat(&self) -> Seat {
            let at = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
            let (before, from) = self.workers.split_at(at);
            let connections = |worker: &&Arc<Worker>| worker.connections.load(Ordering::Relaxed);
            let fewest = from.iter().chain(before).min_by_key(connections);
            let worker = fewest.unwrap_or(&self.workers[at]);
            worker.connections.fetch_add(1, Ordering::Relaxed);
            Seat(worker.clone())
        }
    }

    impl Worker {
        fn start(number: usize, max_blocking: usize) -> io::Result<Self> {
            let (stop, stopped) = oneshot::channel();
            let (started_tx, started) = mpsc::sync_channel(1);
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                // Built on its thread: a runtime cannot be dropped on a thread of another one.
                let mut builder = Builder::new_current_thread();
                match builder.enable_all().max_blocking_threads(max_blocking).build() {
                    Ok(runtime) => {
                        NUMBER.set(number);
                        let _ = started_tx.send(Ok(runtime.handle().clone()));
                        // Fails when the sender is dropped.
                        let _ = runtime.block_on(stopped);
                        runtime.shutdown_background();
                    }
                    Err(error) => drop(started_tx.send(Err(error))),
                }
            })?;
            let runtime = started.recv().map_err(io::Error::other)??;
            Ok(Self { runtime, connections: AtomicUsize::new(0), _stop: stop })
        }
    }

    impl Seat {
        /// Returns the runtime of the worker.
        pub(crate) fn runtime(&self) -> &Handle {
            &self.0.runtime
        }
    }

    impl Drop for Seat {
        fn drop(&mut self) {
            self.0.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn workers(count: usize) -> Workers {
            Workers::start(NonZero::new(count).unwrap()).unwrap()
        }

        #[test]
        fn seats_are_spread_over_workers_by_their_connections() {
            let workers = workers(3);
            let mut seats: Vec<_> = (0..9).map(|_| workers.seat()).collect();
            let counts = || -> Vec<_> {
                workers.workers.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).collect()
            };
            assert_eq!(counts(), [3, 3, 3]);
            let second = workers.workers[1].clone();
            seats.retain(|seat| !Arc::ptr_eq(&seat.0, &second));
            assert_eq!(counts(), [3, 0, 3]);
            seats.extend((0..3).map(|_| workers.seat()));
            assert_eq!(counts(), [3, 3, 3], "all on the worker that has none");
        }

        #[test]
        fn threads_have_numbers_and_end_with_the_last_clone_and_seat() {
            let workers = workers(2);
            let (clone, seat) = (workers.clone(), workers.seat());
            let runtime = seat.runtime().clone();
            drop((workers, clone));
            let number = tokio_test::block_on(runtime.spawn(async { super::super::current() })).unwrap();
            assert!((1..=2).contains(&number), "{number}");
            assert_eq!(super::super::current(), 0);
            let task = runtime.spawn(std::future::pending::<()>());
            drop(seat);
            assert!(tokio_test::block_on(task).unwrap_err().is_cancelled());
        }
    }
}
