//! What runs, each in a process of its own, and how it dies.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;

use crate::router;

const DAEMONS: usize = 3;
const ROUTERS: usize = 2;
pub(crate) const ROUTER_TOKEN: &str = "router-secret";
pub(crate) const OPERATOR: &str = "operator-secret";
/// How long a process may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a server that was killed is away, as if its supervisor had to notice.
const AWAY: Duration = Duration::from_secs(1);

/// Whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Daemon,
    Redis,
    Postgres,
    Router,
}

/// A process that dies with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// kill -9.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// All of it.
pub(crate) struct Cluster {
    daemons: Vec<Option<Process>>,
    routers: Vec<Option<Process>>,
    redis: Option<Process>,
    postgres: Option<Process>,
    /// `host:port` of each daemon's HTTP end.
    pub(crate) addresses: Vec<String>,
    grpc: Vec<String>,
    redis_port: u16,
    postgres_port: u16,
    postgres_bin: PathBuf,
    directory: TempDir,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The newest of Debian's PostgreSQL servers, or that of the path.
fn postgres_bin() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH")?));
    found.sort();
    found.into_iter().rev().find(|bin| bin.join("initdb").exists())
}

fn has_redis() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// PostgreSQL does not run as root.
fn unprivileged(command: &mut Command) -> &mut Command {
    let id = |flag: &str, user: &str| {
        let output = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().ok()
    };
    if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
        && let (Some(user), Some(group)) = (id("-u", "postgres"), id("-g", "postgres"))
    {
        command.uid(user).gid(group);
    }
    command
}

impl Cluster {
    /// `None`, and a line that nobody overlooks, if servers are not installed.
    pub(crate) async fn start() -> Option<Self> {
        let (Some(postgres_bin), true) = (postgres_bin(), has_redis()) else {
            let line = "\n!!! SKIPPED: install postgresql and redis-server; NOTHING was killed\n\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut cluster = Self {
            daemons: Vec::new(),
            routers: Vec::new(),
            redis: None,
            postgres: None,
            addresses: (0..DAEMONS).map(|_| format!("127.0.0.1:{}", free_port())).collect(),
            grpc: (0..DAEMONS).map(|_| format!("127.0.0.1:{}", free_port())).collect(),
            redis_port: free_port(),
            postgres_port: free_port(),
            postgres_bin,
            directory,
        };
        cluster.init_postgres();
        cluster.start_postgres().await;
        cluster.start_redis().await;
        for index in 0..DAEMONS {
            cluster.start_daemon(index).await;
        }
        for index in 0..ROUTERS {
            cluster.start_router(index, 1);
        }
        cluster.wait_for_routers(ROUTERS).await;
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self, name: &str) -> Stdio {
        let path = self.path(&format!("{name}.log"));
        std::fs::File::options().create(true).append(true).open(path).unwrap().into()
    }

    /// The database's URL.
    pub(crate) fn database(&self) -> String {
        format!("postgres://sluice@127.0.0.1:{}/postgres", self.postgres_port)
    }

    fn init_postgres(&self) {
        let mut initdb = Command::new(self.postgres_bin.join("initdb"));
        initdb.args(["-A", "trust", "-U", "sluice", "-D"]).arg(self.path("pg"));
        let status = unprivileged(&mut initdb).stdout(self.log("initdb")).stderr(self.log("initdb")).status();
        assert!(status.unwrap().success(), "initdb");
    }

    async fn start_postgres(&mut self) {
        let mut postgres = Command::new(self.postgres_bin.join("postgres"));
        postgres.arg("-D").arg(self.path("pg")).args(["-c", "listen_addresses=127.0.0.1", "-p"]);
        postgres.arg(self.postgres_port.to_string()).args(["-c", "unix_socket_directories="]);
        postgres.stdout(self.log("postgres")).stderr(self.log("postgres"));
        self.postgres = Some(Process::spawn(unprivileged(&mut postgres)));
        let url = self.database();
        let connects = async || {
            use sqlx::Connection as _;
            sqlx::PgConnection::connect(&url).await.is_ok()
        };
        until("postgres", connects).await;
    }

    async fn start_redis(&mut self) {
        let mut redis = Command::new("redis-server");
        redis.args(["--bind", "127.0.0.1", "--save", "", "--port", &self.redis_port.to_string()]);
        redis.stdout(self.log("redis")).stderr(self.log("redis"));
        self.redis = Some(Process::spawn(&mut redis));
        let address = format!("127.0.0.1:{}", self.redis_port);
        until("redis", async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
    }

    async fn start_daemon(&mut self, index: usize) {
        let config = self.path("signaling.toml");
        std::fs::write(
            &config,
            "[limits]\nrequests_per_second_per_address = 10000\nrequest_burst_per_address = 10000\n\
             [timing]\nheartbeat_interval_ms = 300\n",
        )
        .unwrap();
        let http = &self.addresses[index];
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_sluice-signaling"));
        daemon.arg("--config").arg(config).args(["--http-listen", http, "--grpc-listen", &self.grpc[index]]);
        daemon.args(["--cluster-url", &format!("ws://{http}"), "--database", &self.database()]);
        daemon.args(["--redis", &format!("redis://127.0.0.1:{}", self.redis_port)]);
        daemon.args(["--router-token", ROUTER_TOKEN, "--api-token", OPERATOR]);
        daemon.stdout(self.log(&format!("daemon{index}"))).stderr(self.log(&format!("daemon{index}")));
        let process = Process::spawn(&mut daemon);
        if self.daemons.len() == index {
            self.daemons.push(None);
        }
        self.daemons[index] = Some(process);
        let url = format!("http://{http}/healthz");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        until("daemon", async || client.get(&url).send().await.is_ok()).await;
    }

    fn start_router(&mut self, index: usize, epoch: u64) {
        let process = router::spawn(&format!("router{index}"), epoch, &self.grpc, self.log("routers"));
        if self.routers.len() == index {
            self.routers.push(None);
        }
        self.routers[index] = Some(process);
    }

    async fn wait_for_routers(&self, count: usize) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for address in &self.addresses {
            let url = format!("http://{address}/readyz");
            let attached = async || {
                let answer = client.get(&url).send().await.unwrap().text().await.unwrap();
                answer.contains(&format!("\"routers\":{count}"))
            };
            until("routers", attached).await;
        }
    }

    /// Kills the victim, and starts it anew where somebody would.
    pub(crate) async fn kill(&mut self, victim: Victim) {
        match victim {
            // The others go on; it does not come back.
            Victim::Daemon => self.daemons[0].take().unwrap().kill(),
            Victim::Redis => {
                self.redis.take().unwrap().kill();
                sleep(AWAY).await;
                self.start_redis().await;
            }
            Victim::Postgres => {
                // Its children see that it is gone and go as well.
                self.postgres.take().unwrap().kill();
                sleep(AWAY).await;
                std::fs::remove_file(self.path("pg").join("postmaster.pid")).unwrap();
                self.start_postgres().await;
            }
            Victim::Router => {
                self.routers[0].take().unwrap().kill();
                sleep(AWAY).await;
                self.start_router(0, 2);
            }
        }
    }

    /// A daemon that lives.
    pub(crate) fn survivor(&self) -> &str {
        &self.addresses[DAEMONS - 1]
    }

    /// Stops all of it, and keeps nothing.
    pub(crate) async fn stop(self) {
        sleep(Duration::ZERO).await;
    }

    pub(crate) fn logs(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.daemons.clear();
        self.routers.clear();
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.logs()).into_iter().flatten().flatten() {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(15).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                let text = format!("--- {}\n{}\n", entry.path().display(), tail.join("\n"));
                std::io::stderr().write_all(text.as_bytes()).ok();
            }
        }
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < START_LIMIT, "{what} did not come up");
        sleep(Duration::from_millis(50)).await;
    }
}
