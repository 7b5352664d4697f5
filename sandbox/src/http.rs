//! The listener, whose connections can be cut on purpose, and the layer around every platform call
//! that applies the fault plan and records the call.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::faults::{Action, AfterHang, Stage};
use crate::google::{ApiError, Caller};
use crate::record::Call;
use crate::state::Sandbox;

/// The largest answer that a fault may mangle.
const MAX_MANGLED_BYTES: usize = 16 << 20;

/// A handle on a connection with which its next write can be made to fail.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    cut: Arc<AtomicBool>,
}

impl Connection {
    /// Makes the connection end without another byte.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

/// A listener that gives every connection such a handle.
#[derive(Debug)]
pub struct CuttableListener(pub TcpListener);

/// A connection's stream.
#[derive(Debug)]
pub struct CuttableStream {
    inner: TcpStream,
    connection: Connection,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = Connection;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (inner, _): (TcpStream, SocketAddr) = Listener::accept(&mut self.0).await;
        let connection = Connection::default();
        (CuttableStream { inner, connection: connection.clone() }, connection)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Connection::default())
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl CuttableStream {
    fn check(&self) -> io::Result<()> {
        if self.connection.cut.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by the fault plan"));
        }
        Ok(())
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Err(error) = self.check() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Applies the fault plan to a platform call, and records the call.
pub async fn around_call(
    State(sandbox): State<Arc<Sandbox>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let caller = Caller::peek(&sandbox, request.headers(), request.uri());
    let method = request.method().as_str().to_owned();
    let path = request.uri().path().to_owned();
    let target = request.uri().path_and_query().map_or_else(|| path.clone(), ToString::to_string);
    let user = caller.as_ref().map(|caller| caller.email.as_str());
    let fault = sandbox.lock().faults.strike(Stage::Call, &method, &target, user);
    let name = fault.as_ref().map(fault_name);
    let time = sandbox.clock.now();
    let (project, user) = caller.map(|caller| (caller.project, caller.email)).unzip();
    // On a task of its own, so that a client that gives up neither undoes the effect nor goes unrecorded.
    let task = tokio::spawn(async move {
        let answer = match fault {
            None => Some(next.run(request).await),
            Some(action) => suffer(action, request, next).await,
        };
        let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        sandbox.lock().record.call(Call { time, method, path, status, project, user, fault: name });
        answer
    });
    let answer = task.await.unwrap_or_else(|_| Some(ApiError::of_status(500).into_response()));
    answer.unwrap_or_else(|| {
        connection.cut();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// What a struck call answers; nothing when the connection is to be closed.
async fn suffer(action: Action, request: Request, next: Next) -> Option<Response> {
    match action {
        Action::Status { status, retry_after_seconds, effect } => {
            if effect {
                next.run(request).await;
            }
            let mut answer = ApiError::of_status(status).into_response();
            if let Some(seconds) = retry_after_seconds {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Some(answer)
        }
        Action::Hang { seconds, then, effect } => {
            if effect {
                next.run(request).await;
            }
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            (then == AfterHang::DeadlineExceeded).then(|| ApiError::of_status(504).into_response())
        }
        Action::LostResponse => {
            next.run(request).await;
            None
        }
        Action::MalformedJson => Some(halve(next.run(request).await).await),
        _ => None,
    }
}

async fn halve(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_MANGLED_BYTES).await else {
        return ApiError::of_status(500).into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

fn fault_name(action: &Action) -> &'static str {
    match action {
        Action::Status { .. } => "status",
        Action::Hang { .. } => "hang",
        Action::LostResponse => "lost_response",
        Action::CloseBefore => "close_before",
        Action::MalformedJson => "malformed_json",
        _ => "report",
    }
}
