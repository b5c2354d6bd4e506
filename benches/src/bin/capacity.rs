//! Measures what one core forwards, beside the floor of the machine.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[cfg(not(target_os = "linux"))]
compile_error!("the capacity program measures Linux's batched and segmented sockets: it needs Linux");

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<std::process::ExitCode> {
    linux::main()
}

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: sluice_benches::capacity::allocations::CountingAllocator =
    sluice_benches::capacity::allocations::CountingAllocator;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::time::Duration;

    use anyhow::{Context as _, Result};
    use clap::{Parser, Subcommand, ValueEnum};
    use sluice_benches::capacity::campaign::Campaign;
    use sluice_benches::capacity::report::Report;
    use sluice_benches::capacity::step::Cores;
    use sluice_benches::capacity::{campaign, floor, memory, router, soak, system};
    use sluice_benches::scenario::Scenario;
    use sluice_router::clock::Clock;

    /// Sockets of the largest scenario, and what else a process has open.
    const FILES: usize = 4_500;
    const NANOS_PER_SECOND: u64 = 1_000_000_000;

    /// What one core forwards, beside the floor of the machine.
    #[derive(Debug, Parser)]
    #[command(version)]
    struct Arguments {
        #[command(subcommand)]
        child: Option<Child>,
        /// Who sends what to whom.
        #[arg(long, value_enum, default_value_t = Name::Meetings)]
        scenario: Name,
        /// Seconds of measuring, all loads together; setting them up comes on top.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Minutes of a soak.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Measures just so many rooms; for a soak, the load that it runs.
        #[arg(long)]
        rooms: Option<usize>,
        /// Writes the report here.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// The core of the router and of the floor.
        #[arg(long, default_value_t = 0)]
        router_core: usize,
        /// The core of the load.
        #[arg(long, default_value_t = 1)]
        load_core: usize,
    }

    #[derive(Debug, Subcommand)]
    enum Child {
        /// The measured router.
        #[command(hide = true)]
        ChildRouter {
            #[arg(long)]
            core: usize,
        },
        /// The measured floor.
        #[command(hide = true)]
        ChildFloor {
            #[arg(long)]
            core: usize,
        },
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
    enum Name {
        /// Meetings of ten in HD: seeks the most.
        Meetings,
        /// One HD sender, 500 receivers.
        #[value(name = "broadcast-500")]
        Broadcast500,
        /// One HD sender, 2,000 receivers.
        #[value(name = "broadcast-2000")]
        Broadcast2000,
        /// 1,000 rooms of three with thumbnails.
        RoomsOfThree,
        /// 500 people, three of whom talk.
        #[value(name = "audio-500")]
        Audio500,
        /// Meetings of ten for minutes: memory, loss, lag.
        Soak,
    }

    impl Name {
        const fn scenario(self) -> Scenario {
            match self {
                Self::Meetings | Self::Soak => Scenario::MEETINGS,
                Self::Broadcast500 => Scenario::BROADCAST_500,
                Self::Broadcast2000 => Scenario::BROADCAST_2000,
                Self::RoomsOfThree => Scenario::ROOMS_OF_THREE,
                Self::Audio500 => Scenario::AUDIO_500,
            }
        }
    }

    pub(super) fn main() -> Result<ExitCode> {
        let arguments = Arguments::parse();
        match arguments.child {
            Some(Child::ChildRouter { core }) => router::run(core).map(|()| ExitCode::SUCCESS),
            Some(Child::ChildFloor { core }) => floor::run(core).map(|()| ExitCode::SUCCESS),
            None => measure(&arguments),
        }
    }

    fn measure(arguments: &Arguments) -> Result<ExitCode> {
        let cores = Cores { measured: arguments.router_core, load: arguments.load_core };
        system::allow_files(FILES)?;
        system::pin_to(cores.load)?;
        if arguments.scenario == Name::Soak {
            return soak(arguments, cores);
        }
        let scenario = arguments.scenario.scenario();
        let campaign = run_campaign(arguments, &scenario, cores)?;
        let is_whole = arguments.scenario == Name::Meetings && arguments.rooms.is_none();
        let memory = if is_whole { Some(memory::measure(cores)?) } else { None };
        let measured_at = Clock::new().now().as_nanos() / NANOS_PER_SECOND;
        let report =
            Report::new(&scenario, campaign, memory, cores, measured_at).context("nothing was measured")?;
        println!("{}", report.text());
        write_json(arguments, &report)?;
        Ok(ExitCode::SUCCESS)
    }

    fn run_campaign(arguments: &Arguments, scenario: &Scenario, cores: Cores) -> Result<Campaign> {
        let total = Duration::from_secs(arguments.seconds);
        let mut tell = |kind, step: &sluice_benches::capacity::step::Step| eprintln!("{}", step.line(kind));
        campaign::run(scenario, arguments.rooms, total, cores, &mut tell)
    }

    fn soak(arguments: &Arguments, cores: Cores) -> Result<ExitCode> {
        let scenario = arguments.scenario.scenario();
        let rooms = match arguments.rooms {
            Some(rooms) => rooms,
            None => {
                let campaign = run_campaign(arguments, &scenario, cores)?;
                campaign.pairs.iter().find(|pair| pair.percent == 75).context("no load at 75 %")?.router.rooms
            }
        };
        let minutes = Duration::from_secs(arguments.minutes * 60);
        let report = soak::run(&scenario, rooms, minutes, cores, &mut |line| eprintln!("{line}"))?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        write_json(arguments, &report)?;
        Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn write_json(arguments: &Arguments, report: &impl serde::Serialize) -> Result<()> {
        let Some(file) = &arguments.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(report)?;
        std::fs::write(file, text + "\n").with_context(|| file.display().to_string())
    }
}
