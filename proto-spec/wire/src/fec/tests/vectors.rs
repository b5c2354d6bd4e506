//! The vectors of `proto-spec/vectors/recovery`.

use serde_json::Value;

use super::*;

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap()).collect()
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

#[test]
fn the_vectors_hold() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../vectors/recovery/reed-solomon.json")).unwrap();
    let blocks = file["blocks"].as_array().unwrap();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let (sources, repairs) = (list(&block["sources"]), list(&block["repairs"]));
        let mut encoder = Encoder::new(repairs.len());
        for source in &sources {
            let header_len = RtpPacket::parse(source).unwrap().header_len();
            encoder.push(&source[..header_len], &source[header_len..]).unwrap();
        }
        assert_eq!(payloads(&encoder, repairs.len()), repairs, "{}", block["says"]);

        let (lost, used) = (numbers(&block["lost"]), numbers(&block["used"]));
        let mut receiver = Receiver::new();
        for (_, source) in sources.iter().enumerate().filter(|(n, _)| !lost.contains(n)) {
            receiver.source(source).unwrap();
        }
        let mut back = Vec::new();
        used.iter().for_each(|row| back.extend(receiver.repair(&repairs[*row]).unwrap()));
        assert_eq!(back, list(&block["recovered"]), "{}", block["says"]);
    }
    for vector in file["malformed"].as_array().unwrap() {
        assert_eq!(Repair::parse(&bytes(&vector["payload"])), None, "{}", vector["says"]);
    }
}

/// The table of the specification.
#[test]
fn the_coefficients_hold() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../vectors/recovery/reed-solomon.json")).unwrap();
    for table in file["coefficients"].as_array().unwrap() {
        let sources = table["sources"].as_u64().unwrap() as usize;
        for (row, expected) in list(&table["rows"]).iter().enumerate() {
            let actual: Vec<u8> = (0..sources).map(|n| code::coefficient(row, n, sources)).collect();
            assert_eq!(&actual, expected, "{sources} {row}");
        }
    }
}
