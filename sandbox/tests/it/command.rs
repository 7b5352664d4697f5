//! The `sandbox` command itself: starting, announcing, stopping, and refusing a bad file.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
    command
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sandbox-command-{name}-{}", std::process::id()))
}

#[test]
fn it_announces_its_address_and_stops_when_told() {
    let port_file = temporary("url");
    let mut child = command().arg("--port-file").arg(&port_file).spawn().unwrap();
    let begun = Instant::now();
    while !port_file.exists() {
        assert!(begun.elapsed() < DEADLINE, "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let url = std::fs::read_to_string(&port_file).unwrap();
    std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    std::fs::remove_file(port_file).unwrap();
}

#[test]
fn a_bad_report_ends_it_with_a_sentence_and_code_2() {
    let report = temporary("report.csv");
    std::fs::write(&report, "Date,Advertiser,Line Item,Impressions\n2027/01/01,Acme,One,5\n").unwrap();
    let output = command().arg("--report").arg(&report).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        sentence,
        "The file has no column \"Advertiser Currency\": add that dimension to the report and export it again as CSV.\n"
    );
    std::fs::remove_file(report).unwrap();
}

#[test]
fn a_delay_must_be_a_number_or_a_range() {
    let output = command().args(["--report-delay-seconds", "60-20"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("does not run from a smaller"));
}
