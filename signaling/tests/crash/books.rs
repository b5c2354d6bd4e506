//! What is in the store, against what people were told; and what they waited.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use sluice_signaling::store::{Attendance, Database, MeetingStore as _, RecordStore as _, SqlStore};
use sluice_wire::signaling::MeetingId;
use sqlx::{Connection as _, Row as _};

use crate::person::Report;
use crate::processes::{Cluster, Victim};

/// Of one meeting.
struct Book {
    texts: Vec<String>,
    marks: Vec<&'static str>,
    attendance: Vec<Attendance>,
}

/// Of all meetings.
pub(crate) struct Books(BTreeMap<String, Book>);

impl Books {
    pub(crate) async fn read(cluster: &Cluster, reports: &[Report]) -> Self {
        let store = SqlStore::open(&Database::from(cluster.database().as_str())).await.unwrap();
        let mut sql = sqlx::PgConnection::connect(&cluster.database()).await.unwrap();
        let mut books = BTreeMap::new();
        let meetings: BTreeSet<&String> = reports.iter().map(|report| &report.meeting).collect();
        for meeting in meetings {
            let id: MeetingId = meeting.parse().unwrap();
            assert!(store.find(&id).await.unwrap().is_some(), "{meeting} is lost");
            let rows = sqlx::query("SELECT body FROM messages WHERE meeting_id = $1 ORDER BY fence, seq");
            let rows = rows.bind(meeting.as_str()).fetch_all(&mut sql).await.unwrap();
            let text = |body: String| {
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                body["text"].as_str().unwrap().to_owned()
            };
            let book = Book {
                texts: rows.iter().map(|row| text(row.get("body"))).collect(),
                marks: store.marks(&id).await.unwrap().iter().map(|mark| mark.kind.as_str()).collect(),
                attendance: store.attendance(&id, 0, 200).await.unwrap(),
            };
            books.insert(meeting.clone(), book);
        }
        // Somebody who lives answers too.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = http.get(format!("http://{}/readyz", cluster.survivor())).send().await.unwrap();
        assert_eq!(ready.status(), 200);
        Self(books)
    }

    /// Nothing that was acknowledged is missing, and nothing is there twice.
    pub(crate) fn balance(&self, reports: &[Report]) {
        let (mut texts, mut marks) = (0, 0);
        for report in reports {
            let book = &self.0[&report.meeting];
            let once: BTreeSet<&String> = book.texts.iter().collect();
            assert_eq!(once.len(), book.texts.len(), "a message is there twice");
            for text in &report.written {
                assert!(once.contains(text), "{text} was acknowledged and is lost");
                texts += 1;
            }
            assert_eq!(report.joined_anew, 0, "{}: {} had to join anew", report.meeting, report.name);
            let stays: Vec<_> =
                book.attendance.iter().filter(|stay| stay.display_name == report.name).collect();
            assert_eq!(stays.len(), 1, "{}: {stays:?}", report.name);
            assert_eq!(u64::from(stays[0].participant), report.participant);
            assert_eq!(stays[0].left_reason, None, "{}", report.name);
            if !report.marks.is_empty() {
                let unacknowledged_last = report.marks.last().is_some_and(|mark| !mark.acknowledged);
                let mut asked: Vec<_> = report.marks.iter().map(|mark| mark.kind).collect();
                if unacknowledged_last && book.marks.len() < asked.len() {
                    asked.pop();
                }
                assert_eq!(book.marks, asked, "{}: {:?}", report.meeting, report.marks);
                marks += book.marks.len();
            }
            // Whoever resumed was shown what others wrote meanwhile.
            for other in reports.iter().filter(|other| other.meeting == report.meeting) {
                for text in other.written.iter().rev().skip(2) {
                    assert!(report.read.contains(text), "{} never read {text}", report.name);
                }
            }
        }
        say(&format!(
            "  nothing lost: {texts} messages and {marks} marks were acknowledged, and are there once\n"
        ));
    }
}

/// What people saw.
pub(crate) fn print(victim: Victim, killed_at: Instant, reports: &[Report]) {
    let since = killed_at - Duration::from_secs(2);
    let worst = |report: &Report| {
        let behind = report.outages.iter().filter(|(from, _)| *from >= since).map(|(_, waited)| *waited);
        behind.max()
    };
    let waited: Vec<Duration> = reports.iter().filter_map(worst).collect();
    let resumed: usize = reports.iter().map(|report| report.resumed).sum();
    say(&format!(
        "\n{victim:?} killed: {} of {} people waited longer than usual, from answer to answer (ms) {}; {resumed} resumed\n",
        waited.len(),
        reports.len(),
        spread(waited.clone()),
    ));
    let tickets = reports.iter().flat_map(|report| &report.tickets);
    let tickets: Vec<Duration> = tickets.map(|at| at.saturating_duration_since(killed_at)).collect();
    if !tickets.is_empty() {
        say(&format!("  {} new tickets, after (ms) {}\n", tickets.len(), spread(tickets.clone())));
    }
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |permille: usize| {
        let index = (times.len() * permille / 1_000).min(times.len().saturating_sub(1));
        times.get(index).map_or(0, Duration::as_millis)
    };
    format!("p50 {} p90 {} p99 {} max {}", at(500), at(900), at(990), at(1_000))
}

fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
