//! Counters and gauges for Prometheus.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sluice_wire::signaling::ErrorCode;

/// What the daemon counts. No label has values that outsiders choose.
pub struct Metrics {
    /// Meetings with a task.
    pub live_meetings: Gauge,
    /// Participants inside meetings.
    pub participants: Gauge,
    /// Open HTTP and WebSocket connections.
    pub connections: Gauge,
    /// Connections turned away at a limit.
    pub connections_refused: Counter,
    /// WebSockets dropped because they did not read or had gone.
    pub broken_connections: Counter,
    /// WebSockets that went on where another had broken.
    pub resumed: Counter,
    /// Messages that were sent again to those who went on.
    pub replayed_messages: Counter,
    /// Messages given to WebSockets.
    pub messages_sent: Counter,
    /// Password hashes that were computed, for checks and for new meetings.
    pub password_hashes: Counter,
    /// Meetings made.
    pub meetings_created: Counter,
    /// REST calls that were within their rates.
    pub rest_calls: Counter,
    /// Access tokens that were none, or not good any more.
    pub tokens_refused: Counter,
    /// Addresses that guessed a meeting's password too often.
    pub lockouts: Counter,
    /// Meetings with people inside that were taken over from another daemon, or from this one before it was started anew.
    pub taken_over: Counter,
    /// Meetings that another daemon took over from this one.
    pub lost_meetings: Counter,
    /// WebSockets that were passed on to the daemon that owns the meeting.
    pub tunnels: Counter,
    /// Routers that are attached.
    pub routers: Gauge,
    /// Sessions that routers have.
    pub sessions: Gauge,
    errors: Family<Vec<(String, String)>, Counter>,
    registry: Mutex<Registry>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            live_meetings: Gauge::default(),
            participants: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            broken_connections: Counter::default(),
            resumed: Counter::default(),
            replayed_messages: Counter::default(),
            messages_sent: Counter::default(),
            password_hashes: Counter::default(),
            meetings_created: Counter::default(),
            rest_calls: Counter::default(),
            tokens_refused: Counter::default(),
            lockouts: Counter::default(),
            taken_over: Counter::default(),
            lost_meetings: Counter::default(),
            tunnels: Counter::default(),
            routers: Gauge::default(),
            sessions: Gauge::default(),
            errors: Family::default(),
            registry: Mutex::new(Registry::with_prefix("sluice_signaling")),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register("live_meetings", "Meetings with a task", self.live_meetings.clone());
        registry.register("participants", "Participants inside meetings", self.participants.clone());
        registry.register("connections", "Open HTTP and WebSocket connections", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections refused at a limit",
            self.connections_refused.clone(),
        );
        registry.register(
            "broken_connections",
            "WebSockets dropped because they did not read or had gone",
            self.broken_connections.clone(),
        );
        registry.register(
            "resumed",
            "WebSockets that went on where another had broken",
            self.resumed.clone(),
        );
        registry.register(
            "replayed_messages",
            "Messages sent again to those who went on",
            self.replayed_messages.clone(),
        );
        registry.register("messages_sent", "Messages given to WebSockets", self.messages_sent.clone());
        registry.register(
            "password_hashes",
            "Password hashes that were computed",
            self.password_hashes.clone(),
        );
        registry.register("meetings_created", "Meetings made", self.meetings_created.clone());
        registry.register("rest_calls", "REST calls within their rates", self.rest_calls.clone());
        registry.register("tokens_refused", "Access tokens that were refused", self.tokens_refused.clone());
        registry.register(
            "lockouts",
            "Addresses that guessed a meeting's password too often",
            self.lockouts.clone(),
        );
        registry.register("taken_over", "Meetings that were taken over", self.taken_over.clone());
        registry.register(
            "lost_meetings",
            "Meetings that another daemon took over",
            self.lost_meetings.clone(),
        );
        registry.register(
            "tunnels",
            "WebSockets passed on to the owner of the meeting",
            self.tunnels.clone(),
        );
        registry.register("routers", "Routers that are attached", self.routers.clone());
        registry.register("sessions", "Sessions that routers have", self.sessions.clone());
        registry.register("errors", "Errors sent to participants, by code", self.errors.clone());
    }

    /// Counts an error that a participant was sent.
    pub fn error(&self, code: ErrorCode) {
        let code = serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned));
        self.errors.get_or_create(&vec![("code".to_owned(), code.unwrap_or_default())]).inc();
    }

    /// All of it in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
