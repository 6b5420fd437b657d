//! The thread that serves the admin API.

use std::{convert::Infallible, io, sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    response::IntoResponse,
};
use control::spec::AdminSpec;
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use proxy::plane::Plane;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    auth::Access,
    bridge::Daemon,
    guard::{Busy, Guard},
    kernel::Kernel,
    listen::{Listeners, Socket},
    model::Problem,
    node::Node,
    routes::{self, Api},
};
use crate::daemon::{handle::Handle, vips::Vips};

/// The most connections of one listener.
const CONNECTIONS: usize = 128;
/// From a connection's beginning, or the end of an answer, to the end of the next request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// For a TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// From a request's head to its answer. An upgrade waits for the successor, which is the longest.
const REQUEST_PATIENCE: Duration = Duration::from_secs(90);
/// For a whole connection, so that one that takes its answers too slowly comes to an end.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(600);
/// The most header lines, and bytes of a head.
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 64 << 10;
/// How long answers that are on their way may take when the API ends.
const GRACE: Duration = Duration::from_secs(1);

/// The admin API on its own thread. Ends when dropped.
#[derive(Debug)]
pub struct Server {
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<thread::JoinHandle<()>>,
    spec: AdminSpec,
}

#[derive(Debug)]
enum Command {
    Swap(Box<Listeners>),
    Retire,
}

impl Server {
    /// Serves on these listeners what `handle`, `plane`, `kernel` and `vips` know and do.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        handle: Handle,
        plane: Arc<Plane>,
        kernel: Option<Arc<dyn Kernel>>,
        vips: Arc<Vips>,
        listeners: Listeners,
    ) -> io::Result<Self> {
        Self::start_for(
            Arc::new(Daemon::new(handle, plane, kernel, vips)),
            listeners,
        )
    }

    pub(super) fn start_for(node: Arc<dyn Node>, listeners: Listeners) -> io::Result<Self> {
        let spec = listeners.spec.clone();
        let (commands, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("aplomb-admin".into())
            .spawn(move || {
                runtime.block_on(run(Api::new(node), listeners, inbox));
                runtime.shutdown_timeout(Duration::ZERO);
            })?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
            spec,
        })
    }

    /// What it listens on, for [`super::listen::Place::Own`].
    #[must_use]
    pub fn spec(&self) -> &AdminSpec {
        &self.spec
    }

    /// Serves on these listeners from now on. Connections that are open end with the answer they wait for.
    pub fn swap(&mut self, listeners: Listeners) {
        self.spec = listeners.spec.clone();
        self.send(Command::Swap(Box::new(listeners)));
    }

    /// Takes no new connections: a successor does. What is asked already is answered.
    pub fn retire(&self) {
        self.send(Command::Retire);
    }

    fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // The thread ends only after this handle.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The tasks that accept; aborted when dropped, which closes their sockets.
#[derive(Default)]
struct Accepting {
    admin: Option<Task>,
    metrics: Option<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(api: Api, listeners: Listeners, mut inbox: mpsc::UnboundedReceiver<Command>) {
    let sampler = Task(tokio::spawn(sample(api.clone())));
    let answering = Arc::new(tokio::sync::Semaphore::new(ANSWERING));
    let mut accepting = Accepting::default();
    accepting.swap(&api, listeners, &answering);
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Swap(listeners) => accepting.swap(&api, *listeners, &answering),
            Command::Retire => accepting = Accepting::default(),
        }
    }
    drop((accepting, sampler));
    // All permits are back when nothing is being answered any more.
    let all = u32::try_from(ANSWERING).unwrap_or(u32::MAX);
    let _ = timeout(GRACE, answering.acquire_many(all)).await;
    // Answers that are made still have to be written.
    tokio::task::yield_now().await;
    sleep(Duration::from_millis(20)).await;
}

async fn sample(api: Api) {
    loop {
        api.sample();
        sleep(Duration::from_secs(1)).await;
    }
}

impl Accepting {
    fn swap(&mut self, api: &Api, listeners: Listeners, answering: &Answering) {
        if let Some(admin) = listeners.admin {
            let app = App {
                router: routes::admin(api.clone()),
                access: admin.access,
                answering: Arc::clone(answering),
            };
            self.admin = accept(admin.socket, app).map(Task);
        }
        if let Some(metrics) = listeners.metrics {
            self.metrics = metrics.and_then(|listener| {
                let app = App {
                    router: routes::metrics(api.clone()),
                    access: Access::Granted,
                    answering: Arc::clone(answering),
                };
                accept(Socket::Tcp(listener, None), app).map(Task)
            });
        }
    }
}

/// What one listener serves.
#[derive(Clone)]
struct App {
    router: Router,
    access: Access,
    answering: Answering,
}

/// A permit of it is held while an answer is being made.
type Answering = Arc<tokio::sync::Semaphore>;

/// Permits in all: more than the connections of both listeners, before and after a swap.
const ANSWERING: usize = 8 * CONNECTIONS;

fn accept(socket: Socket, app: App) -> Option<JoinHandle<()>> {
    let guard = Guard::new(CONNECTIONS);
    match socket {
        Socket::Unix(listener, file) => {
            let listener = registered(UnixListener::from_std(listener))?;
            Some(tokio::spawn(async move {
                let _file = file;
                loop {
                    if let Some((stream, _)) = accepted(listener.accept().await).await {
                        let busy = Busy::default();
                        guard.admit(serve(stream, app.clone(), busy.clone()), busy);
                    }
                }
            }))
        }
        Socket::Tcp(listener, tls) => {
            let listener = registered(TcpListener::from_std(listener))?;
            Some(tokio::spawn(async move {
                loop {
                    if let Some((stream, _)) = accepted(listener.accept().await).await {
                        let busy = Busy::default();
                        let connection = serve_tcp(stream, tls.clone(), app.clone(), busy.clone());
                        guard.admit(connection, busy);
                    }
                }
            }))
        }
    }
}

fn registered<L>(listener: io::Result<L>) -> Option<L> {
    listener
        .inspect_err(|error| tracing::error!(%error, "the admin API cannot listen"))
        .ok()
}

async fn accepted<S>(result: io::Result<S>) -> Option<S> {
    match result {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "the admin API cannot accept a connection");
            // Without file descriptors the next attempt would fail at once, and the next.
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve_tcp(stream: tokio::net::TcpStream, tls: Option<TlsAcceptor>, app: App, busy: Busy) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve(stream, app, busy).await;
    };
    match timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, app, busy).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client of the admin API"),
        Err(_) => tracing::debug!("a TLS handshake with the admin API took too long"),
    }
}

async fn serve<S>(stream: S, app: App, busy: Busy)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let (app, busy) = (app.clone(), busy.clone());
        async move { Ok::<_, Infallible>(answer(app, busy, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION_PATIENCE, connection).await {
        tracing::debug!(%error, "a connection to the admin API broke off");
    }
}

async fn answer(app: App, busy: Busy, request: Request<Incoming>) -> Response<Body> {
    let open = routes::OPEN.contains(&request.uri().path());
    if !open && let Err(problem) = app.access.check(request.headers()) {
        return problem.into_response();
    }
    if request.body().size_hint().lower() > routes::MAX_BODY as u64 {
        let detail = format!("a body has at most {} bytes", routes::MAX_BODY);
        return Problem::new(413, "too-large", detail).into_response();
    }
    let _answering = app.answering.acquire().await;
    let _work = busy.begin();
    let router = TowerToHyperService::new(app.router);
    match timeout(
        REQUEST_PATIENCE,
        hyper::service::Service::call(&router, request),
    )
    .await
    {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            Problem::new(504, "timeout", "the daemon takes too long over this").into_response()
        }
    }
}
