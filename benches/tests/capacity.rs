//! The capacity program end to end, for a moment: its figures mean nothing then, but what it counts must be right.
#![cfg(target_os = "linux")]

use std::process::Command;

use serde_json::Value;

#[test]
fn a_room_is_measured_and_nothing_is_lost_or_wrong() {
    let file = std::env::temp_dir().join(format!("sluice-capacity-{}.json", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_capacity"))
        // One core for everything: there may be no other.
        .args(["--rooms", "1", "--seconds", "1", "--load-core", "0", "--json"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    for side in ["router", "floor"] {
        let step = &report["campaign"]["pairs"][0][side];
        assert_eq!((&step["lost"], &step["load"]["wrong"]), (&0.into(), &0.into()), "{side}: {step}");
        let expected = step["expected"].as_u64().unwrap();
        assert!(expected > 10_000, "{side}: {step}");
        assert_eq!(step["load"]["counted"].as_u64(), Some(expected), "{side}: {step}");
        assert!(step["ns_per_packet"]["total"].as_f64().unwrap() > 0.0, "{side}: {step}");
        let verified = step["load"]["verified"].as_u64().unwrap();
        assert_eq!(verified > expected / 100, side == "router", "{side}: {step}");
    }
    for field in
        ["floor_ns_per_packet", "router_ns_per_packet", "ratio_to_floor", "max_pps_per_core", "loss_at_max"]
    {
        assert!(report[field].is_number(), "{field}: {report}");
    }
}
