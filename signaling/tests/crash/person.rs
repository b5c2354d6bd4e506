//! People who write, record and come back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::processes::{Cluster, OPERATOR};

/// A pause between two things that one person says; within the rate of the protocol.
const PAUSE: Duration = Duration::from_millis(600);
/// Who hears nothing for so long dials anew: what a client would take for a dead connection, shortened.
const PATIENCE: Duration = Duration::from_secs(12);
/// A pause before a connection that broke without a word is dialled again.
const REDIAL_PAUSE: Duration = Duration::from_millis(200);

/// What one person saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) meeting: String,
    pub(crate) participant: u64,
    pub(crate) name: String,
    /// Texts that were acknowledged, in order.
    pub(crate) written: Vec<String>,
    /// Words for a recording's marks that were acknowledged or not known to be refused, in order.
    pub(crate) marks: Vec<Mark>,
    /// Texts that it was shown.
    pub(crate) read: BTreeSet<String>,
    /// From the last answer before to the first answer behind a pause that a crash made, and when that began.
    pub(crate) outages: Vec<(Instant, Duration)>,
    /// Times that it went on by another connection.
    pub(crate) resumed: usize,
    /// Times that it had to join anew: never, if all is well.
    pub(crate) joined_anew: usize,
    /// When it was given new tickets.
    pub(crate) tickets: Vec<Instant>,
}

/// A mark of a recording that a host asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) kind: &'static str,
    pub(crate) acknowledged: bool,
}

/// Everybody.
pub(crate) struct Crowd {
    people: Vec<JoinHandle<Report>>,
    served: Vec<Arc<Mutex<Instant>>>,
}

impl Crowd {
    /// Makes meetings, and has people join each through one daemon after the other.
    pub(crate) async fn gather(
        cluster: &Cluster,
        meetings: usize,
        people: usize,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (mut tasks, mut served) = (Vec::new(), Vec::new());
        let inside = Arc::new(AtomicUsize::new(0));
        for number in 0..meetings {
            let url =
                format!("http://{}/api/v1/meetings", cluster.addresses[number % cluster.addresses.len()]);
            let body =
                json!({"settings": {"recording": "with_consent", "chat_history_for_late_joiners": true}});
            let made = http.post(url).bearer_auth(OPERATOR).json(&body).send().await.unwrap();
            let made: Value = made.json().await.unwrap();
            let meeting = made["meeting_id"].as_str().unwrap().to_owned();
            let host_token = made["host_token"].as_str().unwrap().to_owned();
            for index in 0..people {
                let at = Arc::new(Mutex::new(Instant::now()));
                served.push(Arc::clone(&at));
                let person = Person {
                    addresses: cluster.addresses.clone(),
                    next_address: number + index,
                    host_token: (index == 0).then(|| host_token.clone()),
                    served: at,
                    inside: Arc::clone(&inside),
                    stop: Arc::clone(&stop),
                    joined: None,
                    seq: 0,
                    request: 0,
                    waits_for: None,
                    report: Report {
                        meeting: meeting.clone(),
                        name: format!("p{index}"),
                        ..Report::default()
                    },
                };
                tasks.push(tokio::spawn(person.live()));
            }
        }
        while inside.load(Ordering::Relaxed) < meetings * people {
            sleep(Duration::from_millis(20)).await;
        }
        Self { people: tasks, served }
    }

    /// Waits until everybody was answered after `since`, and a little longer.
    pub(crate) async fn all_served_since(&self, since: Instant, limit: Duration) {
        let all = async {
            while self.served.iter().any(|at| *at.lock().unwrap() <= since + Duration::from_secs(1)) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(limit, all).await.expect("everybody is served again in time");
    }

    pub(crate) async fn leave(self) -> Vec<Report> {
        let mut reports = Vec::new();
        for person in self.people {
            reports.push(timeout(Duration::from_secs(40), person).await.expect("ends").unwrap());
        }
        reports
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Person {
    addresses: Vec<String>,
    next_address: usize,
    host_token: Option<String>,
    /// When it was last answered.
    served: Arc<Mutex<Instant>>,
    inside: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    joined: Option<Value>,
    seq: u64,
    request: u64,
    /// What was asked and is not answered: its number, and what it was.
    waits_for: Option<(u64, Asked)>,
    report: Report,
}

#[derive(Clone)]
enum Asked {
    Text(String),
    Mark,
}

/// Why a connection was left.
enum Over {
    /// All is said.
    Done,
    /// It broke, or the daemon sent it away for so long.
    Again(Duration),
}

impl Person {
    async fn live(mut self) -> Report {
        loop {
            match self.once().await {
                Some(Over::Done) => return self.report,
                Some(Over::Again(pause)) => sleep(pause).await,
                None => sleep(REDIAL_PAUSE).await,
            }
        }
    }

    /// One connection, from dialling to its end.
    async fn once(&mut self) -> Option<Over> {
        let address = &self.addresses[self.next_address % self.addresses.len()];
        self.next_address += 1;
        let dialled =
            timeout(Duration::from_secs(2), connect_async(format!("ws://{address}/api/v1/ws"))).await;
        let mut socket = dialled.ok()?.ok()?.0;
        let mut join = json!({"type": "join", "version": 1, "meeting_id": self.report.meeting,
            "display_name": self.report.name});
        if let Some(token) = &self.host_token {
            join["token"] = json!(token);
        }
        if let Some(joined) = &self.joined {
            join["resume"] = json!({"participant_id": joined["participant_id"], "token": joined["resume_token"],
                "seq": self.seq});
        }
        self.send(&mut socket, &join).await?;
        let mut says_at = tokio::time::Instant::now() + PAUSE;
        let mut heard_at = Instant::now();
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = tokio::time::sleep_until(says_at) => {
                    says_at = tokio::time::Instant::now() + PAUSE;
                    if heard_at.elapsed() > PATIENCE {
                        return None;
                    }
                    if self.joined.is_some() && self.waits_for.is_none() {
                        if self.stop.load(Ordering::Relaxed) {
                            return Some(Over::Done);
                        }
                        self.say(&mut socket).await?;
                    }
                    continue;
                }
            };
            heard_at = Instant::now();
            match message?.ok()? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if let Some(over) = self.hear(&mut socket, &message).await? {
                        return Some(over);
                    }
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn send(&self, socket: &mut Socket, message: &Value) -> Option<()> {
        timeout(Duration::from_secs(2), socket.send(Message::text(message.to_string()))).await.ok()?.ok()
    }

    async fn say(&mut self, socket: &mut Socket) -> Option<()> {
        self.request += 1;
        let (message, asked) = if self.host_token.is_some() && self.request.is_multiple_of(3) {
            let kind = match self.report.marks.last().map(|mark| mark.kind) {
                None | Some("stopped") => "started",
                Some("started" | "resumed") => "paused",
                Some(_) => "resumed",
            };
            let action = if kind == "paused" { "pause" } else { "start" };
            self.report.marks.push(Mark { kind, acknowledged: false });
            (json!({"type": "record", "action": action}), Asked::Mark)
        } else {
            let text = format!("{}-{}-{}", self.report.meeting, self.report.name, self.request);
            (json!({"type": "chat", "to": "everyone", "text": text}), Asked::Text(text))
        };
        let mut message = message;
        message["request"] = json!(self.request);
        self.waits_for = Some((self.request, asked));
        self.send(socket, &message).await
    }

    /// It was answered: how long has it waited?
    fn answered(&mut self) {
        let now = Instant::now();
        let before = std::mem::replace(&mut *self.served.lock().unwrap(), now);
        let waited = now - before;
        if waited > 2 * PAUSE {
            self.report.outages.push((before, waited));
        }
    }

    async fn hear(&mut self, socket: &mut Socket, message: &Value) -> Option<Option<Over>> {
        if let Some(seq) = message["seq"].as_u64() {
            assert!(seq > self.seq, "numbers rise: {message}");
            self.seq = seq;
        }
        match message["type"].as_str().unwrap() {
            "joined" => {
                if self.joined.is_some() {
                    self.report.joined_anew += 1;
                } else {
                    self.inside.fetch_add(1, Ordering::Relaxed);
                    *self.served.lock().unwrap() = Instant::now();
                }
                self.report.participant = message["participant_id"].as_u64().unwrap();
                self.seq = message["seq"].as_u64().unwrap();
                self.joined = Some(message.clone());
            }
            "resumed" => {
                self.report.resumed += 1;
                // What was not answered may have been done or not; nothing was promised.
                self.waits_for = None;
            }
            "snapshot" => {
                if message["session"] != self.joined.as_ref()?["ticket"]["session"] {
                    self.send(socket, &json!({"type": "new_ticket"})).await?;
                }
                if self.host_token.is_some() {
                    self.see_recording(&message["meeting"]["recording"]);
                }
            }
            "meeting_update" if self.host_token.is_some() && self.waits_for.is_none() => {
                self.see_recording(&message["meeting"]["recording"]);
            }
            "media_lost" => self.send(socket, &json!({"type": "new_ticket"})).await?,
            "ticket" => {
                self.report.tickets.push(Instant::now());
                self.joined.as_mut()?["ticket"] = message["ticket"].clone();
            }
            "chat_message" => self.read(message),
            "chat_history" => {
                for message in message["messages"].as_array().unwrap() {
                    self.read(message);
                }
            }
            "done" => {
                let (_, asked) = self.waits_for.take_if(|(request, _)| message["request"] == *request)?;
                match asked {
                    Asked::Text(text) => self.report.written.push(text),
                    Asked::Mark => self.report.marks.last_mut()?.acknowledged = true,
                }
                self.answered();
            }
            "going_away" => {
                let pause = message["retry_after_ms"].as_u64().unwrap();
                return Some(Some(Over::Again(Duration::from_millis(pause))));
            }
            "error" if message["fatal"] == true => {
                let pause = message["retry_after_ms"].as_u64().map_or(REDIAL_PAUSE, Duration::from_millis);
                return Some(Some(Over::Again(pause)));
            }
            "error" if message["code"] == "no_router" => {
                sleep(REDIAL_PAUSE).await;
                self.send(socket, &json!({"type": "new_ticket"})).await?;
            }
            "error" => {
                if let Some((_, asked)) =
                    self.waits_for.take_if(|(request, _)| message["request"] == *request)
                    && matches!(asked, Asked::Mark)
                {
                    // An earlier one that was not answered had been done: it is asked for the next one.
                    self.report.marks.pop();
                }
            }
            _ => {}
        }
        Some(None)
    }

    fn read(&mut self, message: &Value) {
        self.report.read.insert(message["text"].as_str().unwrap().to_owned());
    }

    /// A mark that was not answered is known now to have been made or not.
    fn see_recording(&mut self, state: &Value) {
        let Some(last) = self.report.marks.last().filter(|mark| !mark.acknowledged) else { return };
        let is = if last.kind == "paused" { "paused" } else { "on" };
        if state != is {
            self.report.marks.pop();
        }
    }
}
