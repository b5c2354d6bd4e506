use super::*;

const FULL: &str = r#"
router_id = "ams-3"
region = "eu-west"
shards = 4
pin_shards = false
public_addresses = ["203.0.113.7:0", "[2001:db8::7]:5004"]

[udp]
listen = ["0.0.0.0", "::"]
port = 6000

[policy]
preset = "large_gallery"
voices = 5
videos_per_receiver = 9

[signaling]
url = "http://signaling.internal:7400"
token = "not to be printed"

[metrics]
listen = "127.0.0.1:9464"

[log]
format = "json"
filter = "info,sluice_router=debug"
"#;

#[test]
fn a_full_file_is_read() {
    let config = RouterConfig::from_toml(FULL).unwrap();
    config.validate().unwrap();
    assert_eq!(config.shards.map(NonZero::get), Some(4));
    assert_eq!(config.log.format, LogFormat::Json);
    let listen = config.listen().unwrap();
    assert_eq!(
        (listen.ipv4, listen.ipv6, listen.port),
        (Some([0, 0, 0, 0].into()), Some([0; 16].into()), 6000)
    );
    let policy = Policy { preset: Preset::LargeGallery, voices: 5, videos_per_receiver: 9 };
    assert_eq!(config.policy.policy(), policy);
    assert!(!format!("{config:?}").contains("printed"));
    assert_eq!(config.signaling.unwrap().token.expose(), "not to be printed");
}

#[test]
fn one_signaling_daemon_or_several() {
    let urls = |text: &str| {
        let config = RouterConfig::from_toml(&format!("[signaling]\n{text}")).unwrap();
        config.validate().map(|()| config.signaling.unwrap().urls)
    };
    assert_eq!(urls("url = 'http://a:1'").unwrap(), ["http://a:1"]);
    assert_eq!(urls("urls = ['http://a:1', 'http://b:1']").unwrap(), ["http://a:1", "http://b:1"]);
    for wrong in [
        "urls = []".to_owned(),
        "urls = ['http://a:1', 'http://a:1/']".to_owned(),
        "urls = ['http://a:1', 'https://b:1']".to_owned(),
        format!(
            "urls = {:?}",
            (0..=MAX_SIGNALING_DAEMONS).map(|n| format!("http://a:{n}")).collect::<Vec<_>>()
        ),
    ] {
        let error = urls(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("signaling.urls"), "{wrong}: {error}");
    }
    assert!(RouterConfig::from_toml("[signaling]\ntoken = 'x'").is_err(), "without any");
}

#[test]
fn an_empty_file_is_a_working_configuration() {
    let config = RouterConfig::from_toml("").unwrap();
    config.validate().unwrap();
    assert_eq!(config.listen().unwrap().port, DEFAULT_UDP_PORT);
    assert_eq!(config.policy.policy(), Policy::default());
}

#[test]
fn what_is_unknown_is_refused_with_its_line() {
    for (text, word) in [
        ("shard = 4", "shard"),
        ("[udp]\naddress = \"::\"", "address"),
        ("[metrics]\nlisten = \"nowhere\"", "listen"),
        ("shards = 0", "shards"),
        ("seed = \"00\"", "seed"),
        ("[log]\nformat = \"xml\"", "xml"),
    ] {
        let error = RouterConfig::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("line") && error.contains(word), "{error}");
    }
}

#[test]
fn each_wrong_value_names_its_field() {
    let long = "x".repeat(65);
    for (text, field) in [
        ("router_id = \"\"".to_owned(), "router_id"),
        (format!("router_id = \"{long}\""), "router_id"),
        (format!("region = \"{long}\""), "region"),
        ("shards = 257".to_owned(), "shards"),
        ("public_addresses = [\"0.0.0.0:5004\"]".to_owned(), "public_addresses"),
        (format!("public_addresses = {:?}", vec!["192.0.2.1:1"; 17]), "public_addresses"),
        ("[udp]\nlisten = []".to_owned(), "udp.listen"),
        ("[udp]\nlisten = [\"::\", \"::1\"]".to_owned(), "udp.listen"),
        ("[signaling]\nurl = \"signaling:7400\"".to_owned(), "signaling.urls"),
        ("[signaling]\nurl = \"https://signaling:7400\"".to_owned(), "signaling.urls"),
        ("[signaling]\nurl = \"http://\"".to_owned(), "signaling.urls"),
    ] {
        let error = RouterConfig::from_toml(&text).unwrap().validate().unwrap_err();
        assert!(
            matches!(error, ConfigError::Value { field: named, .. } if named == field),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = RouterConfig::from_file(Path::new("/nowhere/router.toml")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/router.toml"), "{error}");
}
