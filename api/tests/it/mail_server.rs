//! A mail server that keeps what it is given: enough of SMTP (RFC 5321) for a client that only hands mails in.

use std::sync::{Arc, Mutex};

use runtime::settings::Mail;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// It listens until it is dropped.
pub(crate) struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&kept)));
            }
        });
        Self { port, mails, task }
    }

    pub(crate) fn settings(&self) -> Mail {
        let smtp_url = format!("smtp://127.0.0.1:{}", self.port).into();
        Mail { smtp_url, from: "Platform <clp@agency.example>".to_owned() }
    }

    /// Waits for the first mail to this address, and takes it: headers and text, as it was sent but for soft line breaks.
    pub(crate) async fn take(&self, to: &str) -> String {
        for _ in 0..200 {
            {
                let mut mails = self.mails.lock().unwrap();
                if let Some(index) = mails.iter().position(|mail| mail.contains(&format!("To: {to}"))) {
                    return mails.remove(index);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("no mail came to {to}");
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.mails.lock().unwrap().is_empty()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, mails: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 ready\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => b"250 here\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                mails.lock().unwrap().push(mail.replace("=\n", "").replace("=3D", "="));
                b"250 kept\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => b"250 fine\r\n",
        };
        write.write_all(answer).await.ok()?;
    }
    Some(())
}
