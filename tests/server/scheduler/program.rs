//! The program itself, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use tokio::task::spawn_blocking;

use super::http::get;
use super::{bounded, running};

/// Ends with the test, however that ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn launch(words: &[&str]) -> (Program, BufReader<ChildStderr>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_raftkv-scheduler"))
        .args(["--engine", "memory", "--status", "127.0.0.1:0"])
        .args(words)
        .env_remove("RAFTKV_LOG")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("cargo has built it");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    (Program(child), stderr)
}

/// It says where it listens, serves, and ends in order when it is asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_it_is_asked_to_end() {
    bounded(async {
        let (mut program, mut log) = launch(&["--listen", "127.0.0.1:0"]);
        let line = spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains("status page") {
                line.clear();
                assert_ne!(log.read_line(&mut line).expect("text"), 0, "it has ended");
            }
            (line, log)
        });
        let (line, log) = line.await.expect("it says where it is");
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let (status, body) = get(address.parse().expect("an address"), "/status").await;
        assert_eq!((status, body.contains("\"bootstrapped\":false")), (200, true), "{body}");
        let pid = program.0.id().to_string();
        let code = spawn_blocking(move || {
            let told = Command::new("kill").args(["-TERM", &pid]).status().expect("every system has it");
            assert!(told.success());
            let code = program.0.wait().expect("it is our child").code();
            drop(log);
            code
        });
        assert_eq!(code.await.expect("no panic"), Some(0), "it ends in order");
    })
    .await;
}

/// What cannot work ends it at once, with code 1 and a word of what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_ends_it_with_a_word() {
    bounded(async {
        let other = running().await;
        let taken = other.address().to_string();
        for (words, part) in [
            (["--listen", &taken], "give another with --listen"),
            (["--listen", "0.0.0.0:0"], "--advertise"),
            (["--replicas", "0"], "at least 1"),
            (["--config", "no/such/file"], "no/such/file"),
        ] {
            let (mut program, mut log) = launch(&words);
            let ended = spawn_blocking(move || {
                let mut text = String::new();
                log.read_to_string(&mut text).expect("text");
                (program.0.wait().expect("it is our child").code(), text)
            });
            let (code, text) = ended.await.expect("no panic");
            assert_eq!(code, Some(1), "{words:?}: {text}");
            assert!(text.contains(part), "{words:?}: {text}");
        }
    })
    .await;
}
