//! A platform that says what the test wrote down: one line of script per call, faults included, over real sockets.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the platform does with one call.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with JSON.
    Json(u16, Value),
    /// Answers with headers and a body of any kind.
    Text(u16, Vec<(&'static str, String)>, String),
    /// Takes the call and never answers.
    Hang,
    /// Takes the call and closes the connection.
    Close,
    /// Promises more bytes than it sends.
    CutOff(String),
    /// Sends a head and some bytes and then no more, without closing.
    StandStill(String),
}

/// A call as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

impl Seen {
    /// The call as it is kept in a snapshot.
    pub(crate) fn wire(&self) -> Value {
        let body = serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()));
        json!({
            "call": format!("{} {}", self.method, self.path),
            "query": self.query,
            "authorization": self.authorization,
            "content_type": self.content_type,
            "body": body,
        })
    }
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
    tokens: u32,
}

/// The platform.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { base: format!("http://{}", listener.local_addr().unwrap()), state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(socket).await });
            }
        });
        fake
    }

    /// Adds a reply to the script of a call, such as `GET /v4/partners`.
    pub(crate) fn on(&self, call: &str, reply: Reply) -> &Self {
        self.state.lock().unwrap().script.entry(call.to_owned()).or_default().push_back(reply);
        self
    }

    pub(crate) fn ok(&self, call: &str, body: Value) -> &Self {
        self.on(call, Reply::Json(200, body))
    }

    /// Every call but those for tokens.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.iter().filter(|seen| !seen.path.starts_with("/token")).cloned().collect()
    }

    pub(crate) fn all_calls(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(crate) fn token_calls(&self) -> usize {
        self.all_calls().len() - self.calls().len()
    }

    pub(crate) fn wire(&self) -> Value {
        let mut wire = Value::Array(self.all_calls().iter().map(Seen::wire).collect());
        wire.sort_all_objects();
        wire
    }

    async fn serve(&self, mut socket: TcpStream) {
        let Some(seen) = read_request(&mut socket).await else { return };
        let reply = self.reply(&seen);
        self.state.lock().unwrap().seen.push(seen);
        let text = match reply {
            Reply::Json(status, body) => {
                response(status, &[("content-type", "application/json".into())], &body.to_string())
            }
            Reply::Text(status, headers, body) => response(status, &headers, &body),
            Reply::CutOff(body) => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 100),
            Reply::Close => return,
            Reply::StandStill(body) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 100);
                socket.write_all(head.as_bytes()).await.unwrap();
                return std::future::pending().await;
            }
            Reply::Hang => return std::future::pending().await,
        };
        let _ = socket.write_all(text.as_bytes()).await;
        let _ = socket.shutdown().await;
    }

    fn reply(&self, seen: &Seen) -> Reply {
        let mut state = self.state.lock().unwrap();
        let call = format!("{} {}", seen.method, seen.path);
        if let Some(reply) = state.script.get_mut(&call).and_then(VecDeque::pop_front) {
            return reply;
        }
        if call == "POST /token" {
            state.tokens += 1;
            let scope = connectors::dv360::SCOPES.join(" ");
            let token = format!("at-{}", state.tokens);
            return Reply::Json(
                200,
                json!({"access_token": token, "expires_in": 3599, "scope": scope, "token_type": "Bearer"}),
            );
        }
        Reply::Json(599, json!({"error": {"message": format!("{call} is not in the script")}}))
    }
}

fn response(status: u16, headers: &[(&str, String)], body: &str) -> String {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').map_or((target.as_str(), ""), |parts| parts);
    Some(Seen {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: header("authorization"),
        content_type: header("content-type"),
        body: String::from_utf8(bytes[head_end..].to_vec()).unwrap(),
    })
}
